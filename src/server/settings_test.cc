#include "server/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/source_dir_testing.h"
#include "server/config_sources.h"
#include "server/config_testing.h"
#include "server/setting_texts.h"

namespace podsense::server {
namespace {

using config_testing::config_of;
using config_testing::flag_fault;
using config_testing::from_flag;
using config_testing::from_yaml;
using config_testing::load;
using config_testing::origin_of;
using config_testing::yaml_fault;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

// ---- types

TEST(ConfigTypes, Integers) {
  EXPECT_EQ(from_flag("--http-port=0").listen.http_port, 0);
  EXPECT_EQ(from_flag("--http-port=65535").listen.http_port, 65535);
  EXPECT_EQ(from_flag("--http-port=0080").listen.http_port, 80);
  for (const std::string bad : {"65536", "-1", "+1", "1.0", "1e3", "0x50", "80 ", " 80", "eighty",
                                "18446744073709551616", "99999999999999999999999"}) {
    EXPECT_EQ(flag_fault("--http-port=" + bad),
              "--http-port: must be a whole number from 0 to 65535, not '" + bad + "'");
  }
  EXPECT_EQ(flag_fault("--fetch-max-redirects=4"),
            "--fetch-max-redirects: must be a whole number from 0 to 3, not '4'");
}

TEST(ConfigTypes, Sizes) {
  const std::vector<std::pair<std::string, std::uint64_t>> good{
      {"10485760", 10'485'760}, {"2048B", 2'048},      {"10KB", 10'000},      {"10k", 10'000},
      {"10KiB", 10'240},        {"10Ki", 10'240},      {"10MB", 10'000'000},  {"10 MB", 10'000'000},
      {"10mb", 10'000'000},     {"10M", 10'000'000},   {"10MiB", 10U << 20U}, {"10Mi", 10U << 20U},
      {"1GB", 1'000'000'000},   {"1GiB", 1ULL << 30U}, {"1gi", 1ULL << 30U}};
  for (const auto& [text, bytes] : good) {
    EXPECT_EQ(from_flag("--max-body-bytes=" + text).limits.max_body_bytes, bytes) << text;
  }
  for (const std::string bad : {"", "MB", "10XB", "1.5MB", "-1MB", "10MBB", "10", "2GiB", "ten",
                                "18446744073709551615GiB", "10M B"}) {
    EXPECT_EQ(flag_fault("--max-body-bytes=" + bad),
              "--max-body-bytes: must be a size from 1KiB to 1GiB, such as 10485760, 10MB or "
              "10MiB, not '" +
                  bad + "'");
  }
}

TEST(ConfigTypes, Durations) {
  const std::vector<std::pair<std::string, Duration>> good{{"30", seconds(30)},
                                                           {"0.5", milliseconds(500)},
                                                           {"30s", seconds(30)},
                                                           {"500ms", milliseconds(500)},
                                                           {"1m", minutes(1)},
                                                           {"1m30s", seconds(90)},
                                                           {"1h", hours(1)},
                                                           {"0.5h", minutes(30)},
                                                           {"1.5s", milliseconds(1500)},
                                                           {"1M", minutes(1)},
                                                           {"2000us", milliseconds(2)},
                                                           {"2000µs", milliseconds(2)},
                                                           {"1000000ns", milliseconds(1)},
                                                           {"30 s", seconds(30)}};
  for (const auto& [text, duration] : good) {
    EXPECT_EQ(from_flag("--request-timeout=" + text).limits.request_timeout, duration) << text;
  }
  for (const std::string bad : {"", "s", "30x", "-5s", "0", "1m30", "1.2.3s", "1e3", "inf", "nan",
                                "2h", "0.1ms", "soon", "99999999999999999999999h", "30s30", "."}) {
    EXPECT_EQ(flag_fault("--request-timeout=" + bad),
              "--request-timeout: must be a duration from 1ms to 1h, such as 30 (seconds), 500ms "
              "or 1m30s, not '" +
                  bad + "'");
  }
}

TEST(ConfigTypes, Booleans) {
  for (const std::string word : {"true", "TRUE", "1", "yes", "on", "On"}) {
    EXPECT_TRUE(config_of({.environment = {"PODSENSE_ORT_SPINNING=" + word}}).onnxruntime.spinning);
    EXPECT_TRUE(from_yaml("onnxruntime: {spinning: " + word + "}").onnxruntime.spinning);
  }
  for (const std::string word : {"false", "False", "0", "no", "off"}) {
    EXPECT_FALSE(config_of({.environment = {"PODSENSE_ORT_ARENA=" + word}}).onnxruntime.arena);
    EXPECT_TRUE(from_flag("--no-ort-arena=" + word).onnxruntime.arena);
  }
  for (const std::string bad : {"maybe", "2", "y", "tru"}) {
    EXPECT_EQ(
        flag_fault("--ort-arena=" + bad),
        "--ort-arena: must be true or false (also yes, no, on, off, 1, 0), not '" + bad + "'");
  }
}

TEST(ConfigTypes, Choices) {
  EXPECT_EQ(from_flag("--access-log=ERRORS").http.access_log, AccessLog::kErrors);
  EXPECT_EQ(from_flag("--log-format=json").logging.format, log::Format::kJson);
  EXPECT_EQ(from_flag("--log-level=critical").logging.level, log::Level::kError);
  // What tools that follow YAML 1.1 make of `off`.
  EXPECT_EQ(from_yaml("http: {access_log: false}").http.access_log, AccessLog::kOff);
  EXPECT_EQ(flag_fault("--access-log=some"),
            "--access-log: must be one of all, sampled, errors, off, not 'some'");
  EXPECT_EQ(flag_fault("--log-format="),
            "--log-format: must be one of auto, json, text, gcp, ecs, not ''");
}

TEST(ConfigTypes, Texts) {
  EXPECT_EQ(from_flag("--ports-file=/run/a b/ü.json").listen.ports_file, "/run/a b/ü.json");
  EXPECT_EQ(flag_fault("--ports-file=a\nb"),
            "--ports-file: must be at most 4096 bytes of text without control characters, not "
            "'a?b'");
  EXPECT_EQ(flag_fault("--host="), "--host: must be an address such as 0.0.0.0 or ::1, not ''");
  EXPECT_EQ(flag_fault("--ports-file=" + std::string(5000, 'x')),
            "--ports-file: must be at most 4096 bytes of text without control characters, not '" +
                std::string(64, 'x') + "…'");
}

TEST(ConfigTypes, ModelNames) {
  EXPECT_EQ(from_flag("--model-name=a.B_1-c").models.model_name, "a.B_1-c");
  for (const std::string bad : {"../etc", ".hidden", "a b", "a/b", "ü"}) {
    EXPECT_EQ(flag_fault("--model-name=" + bad),
              "--model-name: must be a model name: 1 to 64 of A-Z a-z 0-9 . _ - and no leading "
              "dot, not '" +
                  bad + "'");
  }
}

TEST(ConfigTypes, Lists) {
  EXPECT_THAT(from_flag("--fetch-ports=80, 443,8443,").fetch.ports, ElementsAre(80, 443, 8443));
  EXPECT_EQ(flag_fault("--fetch-ports=80,0"),
            "--fetch-ports: must be a whole number from 1 to 65535, not '0'");
  EXPECT_EQ(yaml_fault("fetch:\n  ports:\n  - 80\n  - http\n"),
            "c.yaml:2: fetch.ports: must be a whole number from 1 to 65535, not 'http'");
}

TEST(ConfigTypes, Origins) {
  EXPECT_THAT(from_flag("--cors-origins=*").http.cors_origins, ElementsAre("*"));
  EXPECT_THAT(from_flag("--cors-origins=https://a.org,http://localhost:3000").http.cors_origins,
              SizeIs(2));
  for (const std::string bad : {"https://a.org/", "a.org", "https://", "ftp://a.org"}) {
    EXPECT_THAT(flag_fault("--cors-origins=" + bad),
                AllOf(StartsWith("--cors-origins: must be an origin such as https://example.com"),
                      HasSubstr("not '" + bad + "'")));
  }
}

TEST(ConfigTypes, OptionalNumberIsUnsetByDefault) {
  EXPECT_EQ(config_of({}).simulated.infer_cpu_ms, std::nullopt);
  EXPECT_EQ(from_flag("--infer-cpu-ms=2.5").simulated.infer_cpu_ms, 2.5);
  EXPECT_EQ(from_flag("--infer-cpu-ms=").simulated.infer_cpu_ms, std::nullopt);
  EXPECT_EQ(flag_fault("--infer-cpu-ms=-1"),
            "--infer-cpu-ms: must be a number from 0 to 60000, not '-1'");
}

// ---- what is generated from the table

TEST(SettingsTable, NamesAreUniqueAndEverySettingIsDescribed) {
  std::set<std::string_view> keys;
  std::set<std::string_view> flags{"config", "print-config", "help"};
  std::set<std::string_view> variables{"PODSENSE_CONFIG"};
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_TRUE(flags.insert(setting.flag).second) << setting.flag;
    if (setting.value.shape == Accessor::Shape::kBoolean) {
      EXPECT_FALSE(setting.flag.starts_with("no-"));
    }
    EXPECT_TRUE(variables.insert(setting.environment).second) << setting.environment;
    EXPECT_TRUE(setting.alias.empty() || variables.insert(setting.alias).second) << setting.alias;
    EXPECT_THAT(setting.environment, StartsWith("PODSENSE_"));
    EXPECT_FALSE(is_service_link(setting.environment, "1")) << setting.environment;
    EXPECT_FALSE(setting.name().empty());
    EXPECT_TRUE(setting.meaning.ends_with('.')) << setting.key;
    EXPECT_FALSE(setting.value.form.empty() && setting.value.shape != Accessor::Shape::kBoolean)
        << setting.key;
  }
}

TEST(SettingsTable, SectionsStandTogetherAndInOrder) {
  std::vector<std::string_view> met;
  for (const Setting& setting : settings()) {
    if (met.empty() || met.back() != setting.section()) {
      met.push_back(setting.section());
    }
  }
  std::vector<std::string_view> listed;
  for (const Section& section : sections()) {
    listed.push_back(section.name);
  }
  EXPECT_EQ(met, listed);
}

TEST(SettingsTable, DefaultsLieInRange) {
  Config config = config_of({});
  for (const Setting& setting : settings()) {
    const auto words = setting.value.get(config);
    if (!words.empty() || setting.value.is_list()) {
      EXPECT_EQ(setting.value.set(config, words), std::nullopt) << setting.key;
    }
  }
  EXPECT_EQ(config, config_of({}));
}

/// Every setting away from its default, so that a row wired to the wrong member shows.
std::vector<std::string> unusual_flags() {
  std::vector<std::string> flags;
  for (const Setting& setting : settings()) {
    const auto words = setting.value.get(Config{});
    const std::string flag = "--" + std::string(setting.flag);
    const std::string& form = setting.value.form;
    if (setting.value.shape == Accessor::Shape::kBoolean) {
      flags.push_back(flag + (words.front() == "true" ? "=false" : "=true"));
    } else if (!words.empty() && words.front().find('.') != std::string::npos && form == "NUMBER") {
      flags.push_back(flag + "=0.75");  // a share
    } else if (form == "NUMBER") {
      flags.push_back(flag + (words.empty() || words.front() != "2" ? "=2" : "=3"));
    } else if (form == "SIZE") {
      flags.push_back(flag + "=123456");
    } else if (form == "DURATION") {
      flags.push_back(flag + "=1777777us");
    } else if (form == "PORTS") {
      flags.push_back(flag + "=1,2");
    } else if (form == "ORIGINS") {
      flags.push_back(flag + "=https://a.org,http://b.org:1");
    } else if (form == "FILE=SHA256") {
      flags.push_back(flag + "=/ops/a.so=" + std::string(64, 'a'));
    } else if (setting.key == "listen.trusted_proxies") {
      flags.push_back(flag + "=10.0.0.0/8,fd00::1");
    } else if (setting.key.ends_with("_route")) {
      flags.push_back(flag + "=/" + std::string(setting.name()));
    } else if (form == "NAME=VALUE") {
      flags.push_back(flag + "=a=1,b=x%20y%25");
    } else if (form == "TASK=NAME") {
      flags.push_back(flag + "=image-classification=a,simulated=b");
    } else if (form.contains('|')) {
      flags.push_back(flag + "=" + form.substr(0, form.find('|')));
    } else {
      flags.push_back(flag + "=" + std::string(setting.name()));
    }
  }
  flags.emplace_back("--log-format=text");
  flags.emplace_back("--trace-sampler=always_off");
  flags.emplace_back("--forwarded-by=forwarded");
  flags.emplace_back("--admin-port=3");
  return flags;
}

TEST(PrintConfig, RoundTripsThroughAFile) {
  for (const auto& flags : {std::vector<std::string>{}, unusual_flags()}) {
    const auto loaded = load({.flags = flags});
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto again = load({.flags = {"--config=c.yaml"},
                             .files = {{"c.yaml", print_config(*loaded)}},
                             .models_are_mounted = true});
    ASSERT_TRUE(again) << again.error().message;
    Config expected = loaded->config;
    for (auto& [name, value] : expected.tracing.headers) {
      value = "***";  // a secret is not printed
    }
    EXPECT_EQ(again->config, expected);
  }
}

TEST(PrintConfig, EverySettingChangesByItsFlag) {
  const auto loaded = load({.flags = unusual_flags()});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Config defaults;
  for (const Setting& setting : settings()) {
    EXPECT_NE(setting.value.get(loaded->config), setting.value.get(defaults)) << setting.key;
    EXPECT_EQ(origin_of(*loaded, setting.key), "flag --" + std::string(setting.flag));
  }
}

TEST(PrintConfig, QuotesTextThatYamlWouldMisread) {
  const auto loaded =
      load({.flags = {"--ports-file=a: \"b\" # c", "--model-name=null", "--defaults=simulated=1"}});
  ASSERT_TRUE(loaded);
  const std::string yaml = print_config(*loaded);
  EXPECT_THAT(yaml, HasSubstr(R"(  ports_file: "a: \"b\" # c")"));
  EXPECT_EQ(from_yaml(yaml), loaded->config);
}

TEST(PrintConfig, ShowsNoSecrets) {
  const auto loaded = load({.flags = {"--otlp-endpoint=https://me:word@host/?sig=key",
                                      "--otlp-headers=Authorization=Bearer%20word"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.tracing.headers.at("Authorization"), "Bearer word");
  const std::string yaml = print_config(*loaded);
  EXPECT_THAT(
      yaml, AllOf(HasSubstr("https://***@host/?sig=***"), HasSubstr("\"Authorization\": \"***\"")));
  EXPECT_THAT(yaml, Not(HasSubstr("word")));
  const auto refused = load({.flags = {"--otlp-headers=word"}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("NAME=VALUE"), Not(HasSubstr("word"))));
}

TEST(OpenTelemetry, ItsVariablesAreTakenAndTheOnesForTracesAreStronger) {
  const auto loaded = load(
      {.environment = {
           "OTEL_EXPORTER_OTLP_ENDPOINT=http://all:4318",
           "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces/x", "OTEL_EXPORTER_OTLP_HEADERS=a=1",
           "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2%2C3, c = 4", "OTEL_EXPORTER_OTLP_TIMEOUT=2500",
           "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca.pem", "OTEL_SERVICE_NAME=shop",
           "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test",
           "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Config::Tracing& tracing = loaded->config.tracing;
  EXPECT_EQ(tracing.endpoint, "http://all:4318");
  EXPECT_EQ(tracing.traces_endpoint, "http://traces/x");
  EXPECT_EQ(tracing.headers, (std::map<std::string, std::string>{{"b", "2,3"}, {"c", "4"}}));
  EXPECT_EQ(tracing.timeout, std::chrono::milliseconds(2500));
  EXPECT_EQ(tracing.ca_file, "/ca.pem");
  EXPECT_EQ(tracing.service_name, "shop");
  EXPECT_EQ(tracing.resource_attributes.at("deployment.environment"), "test");
  EXPECT_EQ(tracing.sampler, trace::Sampler::kRatio);
  EXPECT_EQ(tracing.ratio, 0.25);
}

TEST(OpenTelemetry, WhatIsNotTakenIsWarnedOf) {
  const auto loaded =
      load({.environment = {"OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_TRACES_SAMPLER_ARG=often",
                            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
                            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=gzip"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config, load({})->config);
  EXPECT_THAT(loaded->warnings, testing::UnorderedElementsAre(
                                    HasSubstr("OTEL_TRACES_SAMPLER: is ignored"),
                                    HasSubstr("OTEL_TRACES_SAMPLER_ARG"),
                                    HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not spoken"),
                                    HasSubstr("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip'")));
  EXPECT_FALSE(load({.environment = {"PODSENSE_TRACE_SAMPLER=jaeger_remote"}}));
}

TEST(PrintConfig, SaysWhereEachValueCameFrom) {
  const auto loaded = load({.flags = {"--config=c.yaml", "--no-fetch"},
                            .environment = {"REQUEST_TIMEOUT=90"},
                            .files = {{"c.yaml", "listen:\n  http_port: 81\n"}}});
  ASSERT_TRUE(loaded);
  EXPECT_THAT(
      print_config(*loaded),
      AllOf(HasSubstr("listen:\n  host: \"::\"                                # default\n"
                      "  http_port: 81                             # file c.yaml:2\n"),
            HasSubstr("  request_timeout: 90s                      # env REQUEST_TIMEOUT\n"),
            HasSubstr("  enabled: false                            # flag --fetch\n"),
            HasSubstr("  infer_cpu_ms: null                        # default\n")));
}

TEST(SettingTexts, HaveEveryFlagOnceWithItsMeaning) {
  const auto texts = setting_texts();
  EXPECT_EQ(texts.size(), settings().size());
  for (const Setting& setting : settings()) {
    EXPECT_THAT(texts, Contains(AllOf(
                           Field(&SettingText::flags, Contains("--" + std::string(setting.flag))),
                           Field(&SettingText::meaning, StartsWith(std::string(setting.meaning))))))
        << setting.flag;
  }
}

TEST(ConfigReference, PageIsUpToDate) {
  std::ifstream stream(source_dir() / "docs/reference/configuration.md");
  std::ostringstream page;
  page << stream.rdbuf();
  EXPECT_EQ(page.str(), config_reference_markdown())
      << "run: podsense config-reference > docs/reference/configuration.md";
}

}  // namespace
}  // namespace podsense::server
