#include "foresight/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace podsense::foresight {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kObjects = R"({"apiVersion":"v1","kind":"List","items":[
{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"web","namespace":"shop"},
 "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":1,"maxReplicas":10,
  "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]},
 "status":{"currentReplicas":2,"desiredReplicas":2}},
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-7d9-a","ownerReferences":[{"kind":"ReplicaSet","name":"web-7d9"}]},
 "spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":"100m"}}}]},
 "status":{"phase":"Running","startTime":"2026-11-29T10:00:00Z",
  "conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-29T10:00:05Z"}]}},
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-7d9-b","ownerReferences":[{"kind":"ReplicaSet","name":"web-7d9"}]},
 "spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":"100m"}}}]},
 "status":{"phase":"Running","startTime":"2026-11-29T11:59:50Z",
  "conditions":[{"type":"Ready","status":"False","lastTransitionTime":"2026-11-29T11:59:50Z"}]}},
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"other-1","ownerReferences":[{"kind":"ReplicaSet","name":"other-5"}]},
 "spec":{"containers":[{"name":"main"}]},"status":{"phase":"Running"}}]})";

constexpr std::string_view kMetrics =
    R"({"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","items":[
{"metadata":{"name":"web-7d9-a"},"timestamp":"2026-11-29T12:00:00Z","window":"15.02s",
 "containers":[{"name":"main","usage":{"cpu":"180123456n","memory":"20Mi"}}]},
{"metadata":{"name":"web-7d9-b"},"timestamp":"2026-11-29T12:00:00Z","window":"15.02s",
 "containers":[{"name":"main","usage":{"cpu":"900m","memory":"20Mi"}}]}]})";

Result<Snapshot> read(std::string_view objects, std::string_view metrics,
                      SnapshotOptions options = {}) {
  std::vector<SnapshotFile> files{{"objects.json", std::string(objects)}};
  if (!metrics.empty()) {
    files.push_back({"metrics.json", std::string(metrics)});
  }
  return read_snapshot(files, options);
}

TEST(Snapshot, ReadsWhatKubectlPrints) {
  const auto snapshot = read(kObjects, kMetrics);
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(snapshot->name, "shop/web");
  EXPECT_EQ(snapshot->view.pods.size(), 2U) << "the other Deployment's pod is not its own";
  EXPECT_EQ(snapshot->view.spec_replicas, 2);
  EXPECT_EQ(snapshot->now, *parse_rfc3339("2026-11-29T12:00:00Z"));
  const auto words = explain_snapshot(*snapshot, {});
  EXPECT_NE(words[1].find("0.181 used of 0.1 requested by 1 pod = 181 %"), std::string::npos)
      << words[1];
  EXPECT_NE(words[1].find("web-7d9-b) not ready within the CPU initialization period"),
            std::string::npos);
  EXPECT_NE(words[1].find("ceil(1.8 × 2 pods) = 4"), std::string::npos) << words[1];
}

TEST(Snapshot, RefusesToGuess) {
  const auto fault = [](const auto& result) { return result ? "" : result.error().message; };
  EXPECT_NE(fault(read(kObjects, "")).find("needs a file with a PodMetricsList"),
            std::string::npos);
  EXPECT_NE(fault(read("{}", kMetrics)).find("no HorizontalPodAutoscaler in the files"),
            std::string::npos);
  EXPECT_NE(fault(read(kObjects, kMetrics, {.hpa = "x"})).find("the files have: web"),
            std::string::npos);
  EXPECT_NE(fault(read("[]", kMetrics)).find("objects.json: must be an object"), std::string::npos);
  EXPECT_NE(fault(read(kObjects, kMetrics, {.now = "noon"})).find("--now: 'noon' is not a moment"),
            std::string::npos);
  std::string odd(kObjects);
  odd.replace(odd.find("100m"), 4, "100x");
  EXPECT_NE(
      fault(read(odd, kMetrics))
          .find(
              "objects.json: items[1].spec.containers[0].resources.requests.cpu: \"100x\" is not"),
      std::string::npos)
      << fault(read(odd, kMetrics));
}

TEST(Snapshot, ReadsTimesAsTheApiWritesThem) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:01Z"), seconds(1));
  EXPECT_EQ(parse_rfc3339("1970-01-01T01:00:00.5+01:00"), milliseconds(500));
  for (const std::string_view text :
       {"", "Z", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z",
        "1970-01-01T00:00:00.Z", "1970-01-01 00:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_EQ(parse_go_duration("1m0.5s"), milliseconds(60500));
  EXPECT_EQ(parse_go_duration("500ms"), milliseconds(500));
  for (const std::string_view text : {"", "5", "s", "-1s", "nans", "1e99h"}) {
    EXPECT_FALSE(parse_go_duration(text)) << text;
  }
}

}  // namespace
}  // namespace podsense::foresight
