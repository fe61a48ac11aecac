#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/temp_folder_testing.h"
#include "server/config_testing.h"

namespace podsense::server {
namespace {

using config_testing::config_of;
using config_testing::faults_of;
using config_testing::flag_fault;
using config_testing::from_flag;
using config_testing::from_yaml;
using config_testing::Inputs;
using config_testing::load;
using config_testing::origin_of;
using config_testing::yaml_fault;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// ---- sources and their order

TEST(Config, ProxiesAreNetworks) {
  const auto config = config_of({.flags = {"--trusted-proxies=10.0.0.0/8, fd00::1",
                                           "--forwarded-by=x-forwarded-for", "--proxy-protocol"}});
  EXPECT_THAT(config.listen.trusted_proxies, ElementsAre("10.0.0.0/8", "fd00::1"));
  EXPECT_EQ(config.listen.forwarded_by, transport::ForwardedBy::kXForwardedFor);
  EXPECT_TRUE(config.listen.proxy_protocol);
  EXPECT_EQ(load({.flags = {"--trusted-proxies=proxy"}}).error().message,
            "--trusted-proxies: must be a network such as 10.0.0.0/8 or fd00::/8, not 'proxy'");
  EXPECT_THAT(load({.flags = {"--proxy-protocol"}}).error().message,
              HasSubstr("needs listen.trusted_proxies"));
}

TEST(Config, DefaultsAreThoseOfTheStruct) {
  Config expected;
  expected.models.dir = "models";
  EXPECT_EQ(config_of({}), expected);
}

TEST(Config, DefaultModelsFolderIsTheMountedOneWhereItExists) {
  EXPECT_EQ(config_of({.models_are_mounted = true}).models.dir, "/mnt/models");
  EXPECT_EQ(config_of({.models_are_mounted = false}).models.dir, "models");
  EXPECT_EQ(config_of({.flags = {"--models=/data"}, .models_are_mounted = true}).models.dir,
            "/data");
}

TEST(Config, ModelsThatCameWithTheProgramAreTheLastResort) {
  const std::string along = config_of({.models_came_along = true}).models.dir;
  EXPECT_TRUE(along.ends_with("/share/podsense/models")) << along;
  EXPECT_EQ(config_of({.models_are_here = true, .models_came_along = true}).models.dir, "models");
  EXPECT_EQ(config_of({.models_are_mounted = true, .models_came_along = true}).models.dir,
            "/mnt/models");
}

TEST(Config, StrongerSourceWins) {
  // Each step adds a stronger source; the last one that is present decides.
  Inputs given;
  given.files["c.yaml"] = "listen:\n  http_port: 1001\n";
  given.environment = {"PODSENSE_CONFIG=c.yaml"};
  auto loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.listen.http_port, 1001);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "file c.yaml:2");
  EXPECT_EQ(loaded->file, "c.yaml");

  given.environment.emplace_back("PORT=1002");
  loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.listen.http_port, 1002);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "env PORT");

  given.environment.emplace_back("PODSENSE_HTTP_PORT=1003");
  loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.listen.http_port, 1003);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "env PODSENSE_HTTP_PORT");

  given.flags = {"--http-port=1004"};
  loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.listen.http_port, 1004);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "flag --http-port");
  EXPECT_EQ(origin_of(*loaded, "listen.admin_port"), "default");
}

TEST(Config, ConfigFlagWinsOverTheVariable) {
  const auto loaded = load({.flags = {"--config", "a.yaml"},
                            .environment = {"PODSENSE_CONFIG=b.yaml"},
                            .files = {{"a.yaml", "logging: {level: debug}"}}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.logging.level, log::Level::kDebug);
  EXPECT_EQ(loaded->file, "a.yaml");
}

TEST(Config, AliasesReachTheirSettings) {
  const Config config =
      config_of({.environment = {"MODEL_NAME=flowers", "LOG_LEVEL=WARNING", "MAX_FILE_SIZE=5MB",
                                 "REQUEST_TIMEOUT=7", "PORT=5000"}});
  EXPECT_EQ(config.models.model_name, "flowers");
  EXPECT_EQ(config.logging.level, log::Level::kWarning);
  EXPECT_EQ(config.limits.max_body_bytes, 5'000'000U);
  EXPECT_EQ(config.limits.request_timeout, seconds(7));
  EXPECT_EQ(config.listen.http_port, 5000);
}

TEST(Config, OfSeveralAliasesTheFirstIsTheStronger) {
  Inputs given{.environment = {"AIP_HTTP_PORT=1001", "AIP_HEALTH_ROUTE=/alive",
                               "AIP_PREDICT_ROUTE=/v1/endpoints/1:predict"}};
  auto loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.listen.http_port, 1001);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "env AIP_HTTP_PORT");
  EXPECT_EQ(loaded->config.http.health_route, "/alive");
  EXPECT_EQ(loaded->config.http.predict_route, "/v1/endpoints/1:predict");
  given.environment.emplace_back("PORT=1002");
  loaded = load(given);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "env PORT");
  EXPECT_FALSE(load({.environment = {"AIP_PREDICT_ROUTE=predict"}}));
  EXPECT_FALSE(load({.environment = {"AIP_PREDICT_ROUTE=/{model}"}}));
}

TEST(Config, LibrariesOfOperatorsAreOutsideTheModels) {
  const std::string hash(64, 'a');
  const auto of = [&](const std::string& file) {
    return load({.flags = {"--models=/srv/models", "--custom-ops", file + "=" + hash}});
  };
  const auto fine = of("/srv/ops/a.so");
  ASSERT_TRUE(fine);
  EXPECT_EQ(fine->config.onnxruntime.custom_ops.at("/srv/ops/a.so"), hash);
  EXPECT_TRUE(of("/srv/models-of-others/a.so"));
  EXPECT_FALSE(of("/srv/models/a.so"));
  EXPECT_FALSE(of("/srv/ops/../models/x/a.so"));
  EXPECT_FALSE(of("a.so"));
}

TEST(Config, FaultyAliasCountsOnlyWhereItIsUsed) {
  EXPECT_EQ(faults_of({.environment = {"LOG_LEVEL=loud"}}),
            "LOG_LEVEL: must be one of trace, debug, info, warning, error, off, not 'loud'");
  EXPECT_EQ(
      config_of({.environment = {"LOG_LEVEL=loud", "PODSENSE_LOG_LEVEL=error"}}).logging.level,
      log::Level::kError);
}

TEST(Config, EmptyVariableCountsAsNotSet) {
  const auto loaded =
      load({.environment = {"PODSENSE_HTTP_PORT=", "PORT= ", "PODSENSE_CONFIG=", "MODEL_NAME="}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(origin_of(*loaded, "listen.http_port"), "default");
}

TEST(Config, VariablesAreTrimmed) {
  EXPECT_EQ(config_of({.environment = {"PODSENSE_MODEL_NAME=flowers\n"}}).models.model_name,
            "flowers");
}

TEST(Config, EntriesWithoutEqualsAreSkipped) {
  EXPECT_TRUE(load({.environment = {"PODSENSE_NOTHING", "", "="}}));
}

// ---- flags

TEST(ConfigFlags, TakeTheirValueEitherWay) {
  EXPECT_EQ(config_of({.flags = {"--http-port", "81", "--host=::1"}}).listen.http_port, 81);
  EXPECT_THAT(config_of({.flags = {"--http-port", "81", "--host=::1"}}).listen.host,
              ElementsAre("::1"));
  EXPECT_THAT(config_of({.flags = {"--host=::, 0.0.0.0"}}).listen.host,
              ElementsAre("::", "0.0.0.0"));
}

TEST(ConfigFlags, LastOfARepeatedFlagCounts) {
  EXPECT_EQ(config_of({.flags = {"--http-port=81", "--http-port", "82"}}).listen.http_port, 82);
  EXPECT_TRUE(config_of({.flags = {"--no-web-page", "--web-page"}}).http.web_page);
}

TEST(ConfigFlags, RepeatedListsAddUp) {
  EXPECT_THAT(
      config_of({.flags = {"--fetch-allow-hosts=a.org, b.org", "--fetch-allow-hosts", ".c.org"}})
          .fetch.allow_hosts,
      ElementsAre("a.org", "b.org", ".c.org"));
}

TEST(ConfigFlags, BooleansHaveFourForms) {
  EXPECT_FALSE(from_flag("--no-web-page").http.web_page);
  EXPECT_FALSE(from_flag("--web-page=off").http.web_page);
  EXPECT_TRUE(from_flag("--metrics-on-http").http.metrics_on_http);
  EXPECT_TRUE(from_flag("--metrics-on-http=Yes").http.metrics_on_http);
}

TEST(ConfigFlags, EmptyValueIsAValue) {
  EXPECT_EQ(config_of({.flags = {"--ports-file=", "--http-port=81"},
                       .environment = {"PODSENSE_PORTS_FILE=ports.json"}})
                .listen.ports_file,
            "");
  EXPECT_THAT(from_flag("--fetch-ports=").fetch.ports, IsEmpty());
  EXPECT_EQ(flag_fault("--web-page="), "--web-page: has an empty value");
}

TEST(ConfigFlags, MissingValueIsAFaultBesidesTheOthers) {
  EXPECT_EQ(faults_of({.flags = {"--io-threads=x", "--nope", "--http-port"}}),
            "--http-port: needs a value\n"
            "unknown flag '--nope'; see podsense serve --help\n"
            "--io-threads: must be a whole number from 0 to 1024, not 'x'");
}

TEST(ConfigFlags, NegativeValueReachesItsSetting) {
  EXPECT_EQ(faults_of({.flags = {"--http-port", "-1"}}),
            "--http-port: must be a whole number from 0 to 65535, not '-1'");
}

TEST(ConfigFlags, UnknownNamesTheNearest) {
  EXPECT_EQ(flag_fault("--htp-port=80"), "unknown flag '--htp-port'; did you mean --http-port?");
  EXPECT_EQ(flag_fault("--http_port=80"), "unknown flag '--http_port'; did you mean --http-port?");
  EXPECT_EQ(flag_fault("--HTTP-PORT=80"), "unknown flag '--HTTP-PORT'; did you mean --http-port?");
  EXPECT_EQ(flag_fault("--no-webpage"), "unknown flag '--no-webpage'; did you mean --no-web-page?");
  EXPECT_EQ(flag_fault("--print-confg"),
            "unknown flag '--print-confg'; did you mean --print-config?");
  EXPECT_EQ(flag_fault("-p"), "unknown flag '-p'; see podsense serve --help");
  EXPECT_EQ(faults_of({.flags = {"--zzzzzzzz", "value", "--http-port=81"}}),
            "unknown flag '--zzzzzzzz'; see podsense serve --help");
}

TEST(ConfigFlags, StrayArgumentIsAFault) {
  EXPECT_EQ(flag_fault("models"), "unexpected argument 'models'");
  EXPECT_EQ(faults_of({.flags = {"--", "--http-port=81"}}),
            "unknown flag '--http-port'; did you mean --http-port?");
}

TEST(ConfigFlags, ActionFollowsTheFlag) {
  EXPECT_EQ(load({})->action, Action::kServe);
  EXPECT_EQ(load({.flags = {"--print-config"}})->action, Action::kPrintConfig);
  EXPECT_EQ(load({.flags = {"-h"}})->action, Action::kHelp);
}

TEST(ConfigFlags, HelpIsGivenDespiteFaults) {
  const auto loaded = load({.flags = {"--nope", "--help"}, .environment = {"PODSENSE_NOPE=1"}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->action, Action::kHelp);
}

// ---- environment

TEST(ConfigEnvironment, UnknownVariableNamesTheNearest) {
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_HTP_PORT=80"}}),
            "unknown environment variable 'PODSENSE_HTP_PORT'; did you mean PODSENSE_HTTP_PORT?");
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_CONFG=x"}}),
            "unknown environment variable 'PODSENSE_CONFG'; did you mean PODSENSE_CONFIG?");
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_QQQQQQQQQQ=1"}}),
            "unknown environment variable 'PODSENSE_QQQQQQQQQQ'; see podsense serve --help");
}

TEST(ConfigEnvironment, PrefixedAliasNamesTheSetting) {
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_PORT=80"}}),
            "unknown environment variable 'PODSENSE_PORT'; did you mean PODSENSE_HTTP_PORT?");
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_MAX_FILE_SIZE=1MB"}}),
            "unknown environment variable 'PODSENSE_MAX_FILE_SIZE'; did you mean "
            "PODSENSE_MAX_BODY_BYTES?");
}

TEST(ConfigEnvironment, OtherProgramsVariablesAreNotOurs) {
  EXPECT_TRUE(load({.environment = {"PATH=/bin", "PODSENSEX=1", "podsense_http_port=1"}}));
}

TEST(ConfigEnvironment, ServiceLinksDoNotBreakTheStart) {
  const auto loaded = load({.environment = {
                                // a Service called podsense
                                "PODSENSE_SERVICE_HOST=10.0.0.1",
                                "PODSENSE_SERVICE_PORT=8080",
                                "PODSENSE_SERVICE_PORT_HTTP=8080",
                                "PODSENSE_SERVICE_PORT_GRPC_WEB=9000",
                                "PODSENSE_PORT_8080_TCP=tcp://10.0.0.1:8080",
                                "PODSENSE_PORT_8080_TCP_PROTO=tcp",
                                "PODSENSE_PORT_8080_TCP_PORT=8080",
                                "PODSENSE_PORT_8080_TCP_ADDR=10.0.0.1",
                                "PODSENSE_PORT_53_UDP=udp://10.0.0.1:53",
                                // one called podsense-canary
                                "PODSENSE_CANARY_SERVICE_HOST=10.0.0.2",
                                "PODSENSE_CANARY_SERVICE_PORT=80",
                                "PODSENSE_CANARY_PORT_80_TCP_ADDR=10.0.0.2",
                            }});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_THAT(loaded->warnings, IsEmpty());
}

TEST(ConfigEnvironment, ServiceLinksUnderASettingsNameAreIgnoredWithAWarning) {
  // Services called podsense, podsense-http, and one without a name of ours.
  const auto loaded =
      load({.environment = {"PODSENSE_PORT=tcp://10.0.0.1:8080",
                            "PODSENSE_HTTP_PORT=tcp://10.0.0.2:80", "PORT=tcp://10.0.0.3:80"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.listen.http_port, 8080);
  EXPECT_THAT(loaded->warnings,
              ElementsAre(StartsWith("PODSENSE_HTTP_PORT is ignored: its value is a Kubernetes "
                                     "service link"),
                          StartsWith("PODSENSE_PORT is ignored"), StartsWith("PORT is ignored")));
}

TEST(ConfigEnvironment, NamesLikeServiceLinksAreStillChecked) {
  for (const std::string entry :
       {"PODSENSE_SERVICE=1", "PODSENSE_SERVICE_HOSTS=1", "PODSENSE_PORT_TCP=1",
        "PODSENSE_PORT_8080=1", "PODSENSE_PORT_8080_TCPX=1", "PODSENSE_8080_TCP=1",
        "PODSENSE_MYSERVICE_PORT=1", "PODSENSE_X_PORT=8080"}) {
    const auto loaded = load({.environment = {entry}});
    EXPECT_FALSE(loaded) << entry;
  }
}

// ---- YAML

TEST(ConfigFile, EmptyFileAndKeysWithoutValueChangeNothing) {
  const Config defaults = config_of({});
  for (const std::string yaml :
       {"", "# nothing\n", "---\n", "listen:\n", "listen:\n  http_port:\nhttp: ~\n", "{}"}) {
    EXPECT_EQ(from_yaml(yaml), defaults) << yaml;
  }
}

TEST(ConfigFile, ListsAreSequencesOrCommaSeparated) {
  EXPECT_THAT(from_yaml("fetch: {ports: [80, 8443]}").fetch.ports, ElementsAre(80, 8443));
  EXPECT_THAT(from_yaml("fetch:\n  deny_hosts:\n  - a.org\n  - b.org\n").fetch.deny_hosts,
              ElementsAre("a.org", "b.org"));
  EXPECT_THAT(from_yaml("fetch: {deny_hosts: 'a.org, b.org'}").fetch.deny_hosts, SizeIs(2));
  EXPECT_THAT(from_yaml("fetch: {ports: []}").fetch.ports, IsEmpty());
}

TEST(ConfigFile, UnknownKeysNameTheNearestAndTheirLine) {
  EXPECT_EQ(yaml_fault("listen:\n  htp_port: 80\n"),
            "c.yaml:2: unknown key 'listen.htp_port'; did you mean 'listen.http_port'?");
  EXPECT_EQ(yaml_fault("listn:\n  http_port: 80\n"),
            "c.yaml:1: unknown key 'listn'; did you mean 'listen'?");
  EXPECT_EQ(yaml_fault("http_port: 80"),
            "c.yaml:1: unknown key 'http_port'; did you mean 'listen.http_port'?");
  EXPECT_EQ(yaml_fault("log-level: info"),
            "c.yaml:1: unknown key 'log-level'; did you mean 'logging.level'?");
  EXPECT_EQ(yaml_fault("listen.http_port: 80"),
            "c.yaml:1: unknown key 'listen.http_port'; did you mean 'listen.http_port'?");
  EXPECT_EQ(yaml_fault("http: {cors_max_aeg: 1m}"),
            "c.yaml:1: unknown key 'http.cors_max_aeg'; did you mean 'http.cors_max_age'?");
  EXPECT_EQ(yaml_fault("shutdown: {patience: 1m}"),
            "c.yaml:1: unknown key 'shutdown.patience'; section 'shutdown' has drain_delay, "
            "drain_timeout, ready_while_draining");
  EXPECT_EQ(yaml_fault("quantum: 1"),
            "c.yaml:1: unknown key 'quantum'; see docs/reference/configuration.md");
}

TEST(Config, DefaultsAreGivenByTask) {
  const std::map<std::string, std::string> wanted{{"image-classification", "cats"},
                                                  {"simulated", "busy"}};
  EXPECT_EQ(
      config_of({.flags = {"--defaults=image-classification=cats", "--defaults", "simulated=busy"}})
          .models.defaults,
      wanted);
  EXPECT_EQ(config_of({.environment = {"PODSENSE_DEFAULTS=image-classification=cats, "
                                       "simulated=busy"}})
                .models.defaults,
            wanted);
  EXPECT_EQ(from_yaml("models:\n  defaults: {image-classification: cats, simulated: busy}\n")
                .models.defaults,
            wanted);
  EXPECT_EQ(config_of({.environment = {"PODSENSE_DEFAULTS="}}).models.defaults.size(), 0U);
  EXPECT_EQ(flag_fault("--defaults=cats"), "--defaults: must be TASK=NAME, not 'cats'");
  EXPECT_THAT(flag_fault("--defaults=image=cats"),
              AllOf(StartsWith("--defaults: must be a task, one of image-classification, "),
                    EndsWith(", not 'image'")));
  EXPECT_THAT(flag_fault("--defaults=tensor=cats"), EndsWith(", not 'tensor'"));
  EXPECT_THAT(flag_fault("--defaults=simulated=a/b"),
              StartsWith("--defaults: simulated must be a model name"));
  EXPECT_EQ(flag_fault("--defaults=simulated="),
            "--defaults: simulated must be a model name, not ''");
  EXPECT_EQ(flag_fault("--defaults=simulated=a,simulated=b"),
            "--defaults: simulated is given twice");
  EXPECT_EQ(yaml_fault("models: {defaults: cats}"),
            "c.yaml:1: models.defaults: must be a mapping, not 'cats'");
}

TEST(Config, AReplacedSettingIsRefusedAndTheNewOneNamed) {
  const std::string now =
      "; it is now --defaults tabular-classification=NAME, PODSENSE_DEFAULTS, or in YAML models: "
      "{defaults: {tabular-classification: NAME}}";
  EXPECT_EQ(flag_fault("--default-tabular-model=x"),
            "unknown flag '--default-tabular-model'" + now);
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_DEFAULT_TABULAR_MODEL=x"}}),
            "unknown environment variable 'PODSENSE_DEFAULT_TABULAR_MODEL'" + now);
  EXPECT_EQ(yaml_fault("models: {default_tabular_model: x}"),
            "c.yaml:1: unknown key 'models.default_tabular_model'" + now);
}

TEST(ConfigFile, WrongShapesAreFaults) {
  EXPECT_EQ(yaml_fault("[1, 2]"), "c.yaml:1: must be a mapping of sections such as 'listen'");
  EXPECT_EQ(yaml_fault("listen: 8080"), "c.yaml:1: listen: must be a mapping");
  EXPECT_EQ(yaml_fault("listen: {http_port: [1]}"),
            "c.yaml:1: listen.http_port: must be one value, not a list");
  EXPECT_EQ(yaml_fault("listen: {http_port: {a: 1}}"),
            "c.yaml:1: listen.http_port: must be one value, not a mapping");
  EXPECT_EQ(yaml_fault("fetch: {ports: {a: 1}}"),
            "c.yaml:1: fetch.ports: must be a list, not a mapping");
  EXPECT_EQ(yaml_fault("fetch: {ports: [[80]]}"),
            "c.yaml:1: fetch.ports: items must be plain values");
  EXPECT_EQ(yaml_fault("? [a]\n: 1\n"), "c.yaml:1: a key must be a name");
  EXPECT_EQ(yaml_fault("--- {}\n--- {}\n"), "c.yaml: must be one YAML document, not 2");
}

TEST(ConfigFile, KeyGivenTwiceIsAFault) {
  EXPECT_EQ(yaml_fault("listen:\n  http_port: 1\n  http_port: 2\n"),
            "c.yaml:3: listen.http_port: given twice, first on line 2");
  EXPECT_EQ(yaml_fault("http: {}\nhttp: {}\n"), "c.yaml:2: http: given twice, first on line 1");
}

TEST(ConfigFile, BrokenYamlIsAFaultWithItsLine) {
  EXPECT_THAT(yaml_fault("listen:\n\thost: a\n"), StartsWith("c.yaml:2: not YAML: "));
  EXPECT_THAT(yaml_fault("listen: {http_port: 1"), StartsWith("c.yaml:1: not YAML: "));
  EXPECT_THAT(yaml_fault("a: *nowhere"), StartsWith("c.yaml:1: not YAML: "));
  EXPECT_THAT(yaml_fault(std::string(100'000, '[')), StartsWith("c.yaml:1: not YAML: "));
  EXPECT_THAT(yaml_fault("{a: " + std::string(100'000, '{')), StartsWith("c.yaml:1: not YAML: "));
}

TEST(ConfigFile, UnreadableFileIsAFault) {
  EXPECT_EQ(flag_fault("--config=gone.yaml"), "--config gone.yaml: No such file or directory");
  EXPECT_EQ(faults_of({.environment = {"PODSENSE_CONFIG=gone.yaml"}}),
            "PODSENSE_CONFIG gone.yaml: No such file or directory");
  EXPECT_EQ(flag_fault("--config="), "--config: must not be empty");
}

TEST(ConfigFile, IsReadFromDiskUnderALimit) {
  const TempFolder temporary;
  const std::string folder = temporary.path().string();
  const std::string small = temporary.write("small.yaml", "listen: {http_port: 81}\n").string();
  const std::string large =
      temporary.write("large.yaml", std::string((1U << 20U) + 1, '#')).string();
  const auto load_file = [](const std::string& file) {
    const std::string flag = "--config=" + file;
    const std::vector<const char*> arguments{flag.c_str()};
    return load_config({.arguments = arguments, .environment = {}});
  };
  const auto loaded = load_file(small);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.listen.http_port, 81);
  EXPECT_EQ(load_file(large).error().message, "--config " + large + ": is larger than 1MiB");
  EXPECT_EQ(load_file(folder).error().message, "--config " + folder + ": is a folder");
  EXPECT_EQ(load_file(small + ".gone").error().message,
            "--config " + small + ".gone: No such file or directory");
}

// ---- faults

TEST(Config, ReportsAllFaultsOfAllSourcesAtOnce) {
  EXPECT_EQ(faults_of({.flags = {"--nope-nope-nope", "--io-threads=many", "--config=c.yaml"},
                       .environment = {"PODSENSE_DRAIN_DELAY=x", "PODSENSE_HOSTT=1"},
                       .files = {{"c.yaml", "http:\n  web_page: perhaps\nlimit: {}\n"}}}),
            "c.yaml:3: unknown key 'limit'; did you mean 'limits'?\n"
            "c.yaml:2: http.web_page: must be true or false (also yes, no, on, off, 1, 0), not "
            "'perhaps'\n"
            "unknown environment variable 'PODSENSE_HOSTT'; did you mean PODSENSE_HOST?\n"
            "PODSENSE_DRAIN_DELAY: must be a duration from 0s to 10m, such as 30 (seconds), 500ms "
            "or 1m30s, not 'x'\n"
            "unknown flag '--nope-nope-nope'; see podsense serve --help\n"
            "--io-threads: must be a whole number from 0 to 1024, not 'many'");
}

TEST(Config, WeakerFaultIsReportedToo) {
  EXPECT_THAT(faults_of({.flags = {"--http-port=81"}, .environment = {"PODSENSE_HTTP_PORT=x"}}),
              StartsWith("PODSENSE_HTTP_PORT: "));
}

TEST(Config, PortsMustDiffer) {
  EXPECT_EQ(flag_fault("--http-port=8000"),
            "listen.admin_port: 8000 is also listen.http_port; they must differ");
  EXPECT_TRUE(load({.flags = {"--http-port=0", "--admin-port=0"}}));
  EXPECT_TRUE(load({.flags = {"--http-port=80", "--admin-port=80", "--host=10.0.0.1",
                              "--admin-host=127.0.0.1"}}));
}

TEST(Config, DrainTimeoutIncludesTheDelay) {
  EXPECT_EQ(flag_fault("--drain-timeout=2"),
            "shutdown.drain_timeout: must be at least shutdown.drain_delay (5s), which it "
            "includes, not 2s");
}

}  // namespace
}  // namespace podsense::server
