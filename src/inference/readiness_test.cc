#include "inference/readiness.h"

#include <gtest/gtest.h>

namespace podsense::inference {
namespace {

struct Row {
  const char* what;
  Situation now;
  int exit;
  bool ready;
};

// The rows of docs/reference/readiness.md, in its order.
constexpr Row kTable[] = {
    {"a default that the repository lacks", {.unknown_default = true, .offered = 3}, 2, false},
    {"the same with polling", {.polls = true, .unknown_default = true, .offered = 3}, 2, false},
    {"no repository, or an empty one", {}, 1, false},
    {"nothing in it loads", {.loaded = true, .failed = 2}, 1, false},
    {"no repository, with polling", {.polls = true}, 0, false},
    {"nothing in it loads, with polling", {.loaded = true, .polls = true, .failed = 2}, 0, false},
    {"still loading", {.offered = 2}, 0, false},
    {"all serves", {.loaded = true, .offered = 2}, 0, true},
    {"more than half of the executors are stuck",
     {.loaded = true, .offered = 2, .executors_lost = true},
     0,
     false},
    {"all serves, strictly", {.loaded = true, .strict = true, .offered = 2}, 0, true},
    {"one fails, one serves", {.loaded = true, .offered = 1, .failed = 1}, 0, true},
    {"the same, strictly", {.loaded = true, .strict = true, .offered = 1, .failed = 1}, 0, false},
};

TEST(Readiness, IsAsTheTableSays) {
  for (const Row& row : kTable) {
    const Verdict verdict = judge(row.now);
    EXPECT_EQ(exit_code(verdict.start), row.exit) << row.what;
    EXPECT_EQ(verdict.ready, row.ready) << row.what;
  }
}

}  // namespace
}  // namespace podsense::inference
