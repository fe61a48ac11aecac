#include "model/external_data.h"
#include "model/model_testing.h"

namespace podsense::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::tiny;

/// A length-delimited field.
std::string field(int number, std::string_view content) {
  std::string out;
  const auto varint = [&](std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
      out.push_back(static_cast<char>((value & 0x7FU) | 0x80U));
    }
    out.push_back(static_cast<char>(value));
  };
  varint(static_cast<std::uint64_t>(number) << 3U | 2U);
  varint(content.size());
  return out.append(content);
}

std::string tensor(std::string_view location) {
  return field(13, field(1, "location") + field(2, location));
}

Result<ExternalData> walk(std::string_view bytes) {
  return find_external_data(std::as_bytes(std::span(bytes)));
}

std::vector<std::string> locations(std::string_view bytes) {
  const auto found = walk(bytes);
  EXPECT_TRUE(found) << found.error().message;
  return found ? found->locations : std::vector<std::string>{"failed"};
}

TEST(ExternalData, IsToldApartWhereItIsNoInitialiserOfTheMainGraph) {
  EXPECT_FALSE(walk(field(7, field(5, tensor("init"))))->elsewhere);
  EXPECT_FALSE(
      walk(field(7, field(1, field(5, field(5, field(9, "raw")))) + field(5, tensor("init"))))
          ->elsewhere)
      << "a tensor elsewhere that holds its data";
  EXPECT_TRUE(walk(field(7, field(1, field(5, field(5, tensor("t"))))))->elsewhere);
  EXPECT_TRUE(walk(field(7, field(1, field(5, field(6, field(5, tensor("g")))))))->elsewhere);
}

TEST(ExternalData, IsFoundInEveryPlaceATensorCanBe) {
  const std::string sparse = field(1, tensor("v")) + field(2, tensor("i"));
  const std::string attribute =
      field(5, tensor("t")) + field(10, tensor("ts")) + field(6, field(5, tensor("g"))) +
      field(11, field(5, tensor("gs"))) + field(22, field(1, tensor("s1"))) +
      field(23, field(2, tensor("s2")));
  const std::string graph =
      field(1, field(5, attribute)) + field(5, tensor("init")) + field(15, sparse);
  EXPECT_THAT(locations(field(7, graph)),
              ElementsAre("g", "gs", "i", "init", "s1", "s2", "t", "ts", "v"));
  EXPECT_THAT(locations(field(7, "") + field(25, field(7, field(5, field(5, tensor("f"))))) +
                        field(25, field(11, field(5, tensor("fa"))))),
              ElementsAre("f", "fa"));
  EXPECT_THAT(locations(field(7, "") + field(20, field(1, field(5, tensor("a"))) +
                                                     field(2, field(5, tensor("b"))))),
              ElementsAre("a", "b"));
}

TEST(ExternalData, CountsEveryValueOfARepeatedEntry) {
  const std::string entry = field(2, "early") + field(1, "other") + field(1, "location") +
                            field(2, "late") + field(1, "length");
  EXPECT_THAT(locations(field(7, field(5, field(13, entry)))), ElementsAre("early", "late"));
}

TEST(ExternalData, OtherEntriesAreNoLocations) {
  const std::string entry = field(1, "offset") + field(2, "0");
  EXPECT_THAT(locations(field(7, field(5, field(13, entry)) + field(5, field(9, "raw bytes")))),
              IsEmpty());
  EXPECT_THAT(locations(field(7, "") + field(14, field(1, "location") + field(2, "metadata"))),
              IsEmpty());
}

TEST(ExternalData, ReadsTheCommittedModels) {
  EXPECT_THAT(find_external_data(tiny("external_inside.onnx"))->locations,
              ElementsAre("weights.bin"));
  EXPECT_THAT(find_external_data(tiny("external_nested.onnx"))->locations,
              ElementsAre("../secret.bin"));
  EXPECT_THAT(find_external_data(tiny("conv_softmax.onnx"))->locations, IsEmpty());
  EXPECT_FALSE(find_external_data(tiny("none.onnx")));
  EXPECT_FALSE(find_external_data(tiny("")));
}

TEST(ExternalData, FileAndMemoryAgreeAcrossWindows) {
  const testing::TempFolder folder;
  std::string graph;
  for (int i = 0; i < 2000; ++i) {
    graph += field(5, field(9, std::string(static_cast<std::size_t>(i % 50), 'r')) +
                          tensor("w" + std::to_string(i)));
  }
  const std::string model = field(7, graph);
  const auto file = folder.write("m.onnx", model);
  EXPECT_EQ(find_external_data(file)->locations, locations(model));
  EXPECT_EQ(locations(model).size(), 2000U);
}

TEST(ExternalData, IsFoundBetweenManyNumbers) {
  // Single numbers of every length, over several windows: 8 is a varint field, 2 a fixed one.
  std::string numbers;
  for (int i = 0; i < 5000; ++i) {
    numbers += "\x40" + std::string(static_cast<std::size_t>(i % 10), '\xff') + '\x01';
    numbers += std::string("\x15") + "abcd";
  }
  const std::string attribute = numbers + field(5, tensor("a")) + numbers + field(5, tensor("b"));
  const std::string model = field(7, field(1, field(5, attribute)));
  EXPECT_THAT(locations(model), ElementsAre("a", "b"));
  const testing::TempFolder folder;
  EXPECT_THAT(find_external_data(folder.write("m.onnx", model))->locations, ElementsAre("a", "b"));
  const std::string endless = "\x40" + std::string(11, '\xff') + '\x01' + numbers;
  EXPECT_FALSE(walk(field(7, field(1, field(5, endless)))));
}

TEST(ExternalData, EveryCutIsBrokenOrShorter) {
  const std::string whole = testing::read_file(tiny("external_nested.onnx"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto found = walk(std::string_view(whole).substr(0, size));
    if (!found) {
      EXPECT_EQ(found.error().code, ErrorCode::kInvalidArgument);
    }
  }
}

TEST(ExternalData, NestingNumberAndLengthAreBounded) {
  std::string graph = field(5, tensor("deep"));
  for (int i = 0; i < 70; ++i) {
    graph = field(1, field(5, field(6, graph)));
  }
  EXPECT_EQ(walk(field(7, graph)).error().message, "graphs are nested too deeply");
  std::string many;
  for (int i = 0; i < 10'001; ++i) {
    many += field(5, tensor(std::to_string(i)));
  }
  EXPECT_EQ(walk(field(7, many)).error().message, "external data in more than 10000 places");
  EXPECT_EQ(walk(field(7, field(5, tensor(std::string(5000, 'x'))))).error().message,
            "an external data path is longer than 4096 bytes");
}

TEST(ExternalData, ForeignWireFormatsAreBroken) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes :
       {"\x00"sv, "\x3b"sv, "\x3c"sv, "\x3f"sv, "\x3a\x05\x01"sv, "\x39\x01"sv, "\x3d\x01"sv,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,
        "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv, "\x80"sv,
        "\x82\x80\x80\x80\x80\x80\x01\x00"sv}) {
    const auto found = walk(bytes);
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("broken at byte "));
  }
}

TEST(ExternalData, ANameWithANulIsRefused) {
  const testing::TempFolder folder;
  folder.write("a", "x");
  const ExternalData data{{std::string("a\0b", 3)}};
  EXPECT_FALSE(resolve_external_data(data, folder.path()));
  EXPECT_FALSE(resolve_external_data({{""}}, folder.path()));
  EXPECT_FALSE(resolve_external_data({{"."}}, folder.path()));
  EXPECT_TRUE(resolve_external_data({{"./a"}}, folder.path()));
}

}  // namespace
}  // namespace podsense::model
