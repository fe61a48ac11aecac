#include "http/assets.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "protocol/error_mapping.h"
#include "transport/gzip.h"

namespace podsense::http {
namespace {

std::string inflate_gzip(std::string_view packed) {
  constexpr std::uint64_t kMost = 16U << 20U;
  return transport::inflate(packed, transport::Coding::kGzip, kMost).value();
}

TEST(Assets, HaveThePagesUnderTheirRoutes) {
  for (const std::string_view path : {"/", "/docs", "/openapi.json", "/app.js", "/app.css"}) {
    ASSERT_NE(find_asset(path), nullptr) << path;
  }
  EXPECT_EQ(find_asset("/")->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(find_asset("/app.js")->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(find_asset("/openapi.json")->content_type, "application/json");
  EXPECT_EQ(find_asset("/index.html"), nullptr);
}

TEST(Assets, InflateToTheirBody) {
  for (const Asset& asset : assets()) {
    EXPECT_FALSE(asset.body.empty()) << asset.path;
    if (!asset.gzip_body.empty()) {
      EXPECT_LT(asset.gzip_body.size(), asset.body.size()) << asset.path;
      EXPECT_EQ(inflate_gzip(asset.gzip_body), asset.body) << asset.path;
    }
  }
}

TEST(Assets, HaveAPathAndAnETagOfTheirOwn) {
  std::set<std::string_view> paths;
  std::set<std::string_view> etags;
  for (const Asset& asset : assets()) {
    EXPECT_TRUE(paths.insert(asset.path).second) << asset.path;
    EXPECT_TRUE(etags.insert(asset.etag).second) << asset.path;
    EXPECT_TRUE(asset.etag.starts_with("W/\"") && asset.etag.ends_with('"')) << asset.etag;
  }
}

TEST(Assets, IncludeEveryFileThatAPageNames) {
  for (const Asset& asset : assets()) {
    for (const std::string_view opening : {"src=\"", "href=\"", "from './"}) {
      for (std::size_t at = 0; (at = asset.body.find(opening, at)) != std::string_view::npos;) {
        at += opening.size();
        const std::string name(asset.body.substr(at, asset.body.find_first_of("\"'", at) - at));
        if (name.find('.') != std::string::npos && name != "./" && !name.starts_with("http")) {
          EXPECT_NE(find_asset("/" + name), nullptr) << asset.path << " names " << name;
        }
      }
    }
  }
}

TEST(OpenApi, NamesEveryErrorCodeAndItsStatus) {
  const auto document = nlohmann::json::parse(find_asset("/openapi.json")->body);
  const auto& names = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
  std::set<std::string> documented(names.begin(), names.end());
  for (const protocol::ErrorMapping& row : protocol::kErrorTable) {
    EXPECT_EQ(documented.erase(std::string(row.name())), 1U) << row.name();
  }
  EXPECT_TRUE(documented.empty()) << *documented.begin();
}

TEST(OpenApi, GivesEachStatusTheCodesThatMapToIt) {
  const auto document = nlohmann::json::parse(find_asset("/openapi.json")->body);
  for (const auto& [path, item] : document["paths"].items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "servers") {
        continue;
      }
      for (const auto& [status, answer] : operation["responses"].items()) {
        if (!answer.contains("$ref")) {
          continue;
        }
        const nlohmann::json::json_pointer where(answer["$ref"].get<std::string>().substr(1));
        const auto& media = document.at(where)["content"]["application/json"];
        if (!media.contains("examples")) {
          continue;  // below /v2 errors have no code
        }
        for (const auto& [code, example] : media["examples"].items()) {
          bool found = false;
          for (const protocol::ErrorMapping& row : protocol::kErrorTable) {
            found |= row.name() == code && std::to_string(row.http_status) == status;
          }
          EXPECT_TRUE(found) << path << " " << method << " " << status << " " << code;
        }
      }
    }
  }
}

}  // namespace
}  // namespace podsense::http
