#include "text/html.h"

#include <gtest/gtest.h>

namespace podsense::text {
namespace {

TEST(Html, DataCannotEndItsScript) {
  EXPECT_EQ(page_with_data("<script>@DATA@</script>", R"(["</script><!--"])"),
            R"(<script>["\u003c/script>\u003c!--"]</script>)");
}

TEST(Html, AMarkInTheDataStays) {
  EXPECT_EQ(page_with_data("a@DATA@b", R"("@DATA@")"), R"(a"@DATA@"b)");
}

}  // namespace
}  // namespace podsense::text
