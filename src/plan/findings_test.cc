#include "plan/findings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace podsense::plan {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// What no finding above a note says anything about.
constexpr std::string_view kHpa = R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
)";
constexpr std::string_view kDeployment = R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 40
      containers:
        - name: main
          image: podsense:0.1.0
          args: [serve]
          resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: "1", memory: 512Mi}}
          startupProbe: {periodSeconds: 1, failureThreshold: 120}
          livenessProbe: {periodSeconds: 10}
          readinessProbe: {periodSeconds: 5}
)";
constexpr std::string_view kBudget = R"(---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector: {matchLabels: {app: web}}
)";

class Rendered {
 public:
  Rendered() : text_(std::string(kHpa) + std::string(kDeployment) + std::string(kBudget)) {}
  Rendered& with(std::string_view from, std::string_view to) {
    const std::size_t at = text_.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text_.replace(at, from.size(), to);
    return *this;
  }
  Rendered& plus(std::string_view more) {
    text_ += "\n---\n" + std::string(more) + "\n";
    return *this;
  }
  [[nodiscard]] std::vector<Finding> find(const FindingOptions& options = {}) const {
    const foresight::SnapshotFile file{"objects.yaml", text_};
    const auto read = foresight::read_deployed({&file, 1});
    EXPECT_TRUE(read) << read.error().message;
    const auto found = read ? find_faults(*read, options) : std::vector<Finding>();
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(std::vector<Finding>());
  }

 private:
  std::string text_;
};

/// "" where there is none; else its severity, sentence and change.
std::string said(const std::vector<Finding>& findings, std::string_view id) {
  const auto one = std::ranges::find(findings, id, &Finding::id);
  return one == findings.end()
             ? ""
             : std::string(kSeverityNames[static_cast<std::size_t>(one->severity)]) + ": " +
                   one->what + " " + one->change;
}

std::string above_notes(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& one : findings) {
    out += one.severity == Severity::kNote ? "" : std::string(one.id) + ": " + one.what + "\n";
  }
  return out;
}

#define EXPECT_SAYS(findings, id, part) \
  EXPECT_NE(said(findings, id).find(part), std::string::npos) << said(findings, id)

TEST(Findings, SoundDeploymentHasNotesOnly) {
  const auto found = Rendered().find();
  EXPECT_EQ(above_notes(found), "");
  EXPECT_SAYS(found, "tolerance",
              "2 pods stay as many up to 77 % (tolerance), and 3 down to 46.67 % (whole");
}

TEST(Findings, LimitThatEqualsTheRequestHidesOverload) {
  const auto found = Rendered().with("limits: {cpu: \"1\"", "limits: {cpu: 250m").find();
  EXPECT_SAYS(found, "limit-hides-overload", "warning: ");
  EXPECT_SAYS(found, "limit-hides-overload", "Any overload looks like 1.43 times the target");
  // 2, 3, 5, 8, 10: four looks that add, the first at 0 s.
  EXPECT_SAYS(found, "limit-hides-overload", "all 10 after 4 looks that add some, 45 s at least");
  const auto saturation = Rendered()
                              .with("limits: {cpu: \"1\"", "limits: {cpu: 250m")
                              .with("averageUtilization: 70}}}",
                                    "averageUtilization: 70}}}\n    - {type: Pods, pods: {metric: "
                                    "{name: podsense_saturation}, target: {type: AverageValue, "
                                    "averageValue: 700m}}}")
                              .find();
  EXPECT_SAYS(saturation, "limit-hides-overload", "note: ");
}

TEST(Findings, TargetWithinTheToleranceOfTheLimitIsNeverPassed) {
  Rendered rendered;
  rendered.with("limits: {cpu: \"1\"", "limits: {cpu: 250m")
      .with("averageUtilization: 70", "averageUtilization: 95");
  EXPECT_SAYS(rendered.find(), "target-out-of-reach", "error: ");
  EXPECT_SAYS(rendered.find(), "target-out-of-reach", "1.05 times the target");
  FindingOptions fine;
  fine.settings.flags.tolerance = 0.02;
  EXPECT_EQ(said(rendered.find(fine), "target-out-of-reach"), "");
}

TEST(Findings, IdleSidecarDilutesTheShare) {
  constexpr std::string_view kSidecar = R"(      containers:
        - name: proxy
          resources: {requests: {cpu: 1000m}, limits: {cpu: 1000m}}
)";
  Rendered rendered;
  rendered.with("limits: {cpu: \"1\"", "limits: {cpu: 250m").with("      containers:\n", kSidecar);
  EXPECT_EQ(said(rendered.find(), "sidecar-dilutes"), "");  // the larger one may be the server
  rendered.with("averageUtilization: 70", "averageUtilization: 80");
  EXPECT_SAYS(rendered.find(), "sidecar-dilutes", "80 % of all requests");
}

TEST(Findings, ShareOfNothingFails) {
  EXPECT_SAYS(Rendered()
                  .with("requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: \"1\", memory: 512Mi}",
                        "requests: {memory: 256Mi}")
                  .find(),
              "request-missing", "container main of the template requests 0");
  // The API server takes the limit where there is no request.
  EXPECT_EQ(
      said(Rendered().with("requests: {cpu: 250m, ", "requests: {").find(), "request-missing"), "");
  EXPECT_EQ(
      said(Rendered()
               .with("requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: \"1\", memory: 512Mi}",
                     "requests: {memory: 256Mi}")
               .plus("kind: LimitRange\nmetadata: {name: l, namespace: shop}\nspec: {limits: "
                     "[{type: Container, defaultRequest: {cpu: 100m}}]}")
               .find(),
           "request-missing"),
      "");
  EXPECT_SAYS(Rendered()
                  .with("type: Resource, resource: {name: cpu,",
                        "type: ContainerResource, containerResource: {name: cpu, container: x,")
                  .find(),
              "no-container", "container x");
  // A sidecar that only the pods have.
  EXPECT_SAYS(Rendered()
                  .plus("kind: Pod\nmetadata: {name: web-1, namespace: shop, labels: {app: web}}\n"
                        "spec: {containers: [{name: injected}]}")
                  .find(),
              "request-missing", "container injected of pod web-1");
}

TEST(Findings, MemoryAloneIsNoSignal) {
  EXPECT_SAYS(Rendered().with("name: cpu", "name: memory").find(), "memory-alone", "warning: ");
}

TEST(Findings, BudgetThatBlocksDrains) {
  for (const std::string_view rule :
       {"minAvailable: 2", "minAvailable: 100%", "minAvailable: 51%", "maxUnavailable: 0"}) {
    EXPECT_SAYS(Rendered().with("maxUnavailable: 1\n  un", std::string(rule) + "\n  un").find(),
                "budget-blocks-drain", "error: ")
        << rule;
  }
  for (const std::string_view rule :
       {"minAvailable: 1", "minAvailable: 50%", "maxUnavailable: 1%"}) {
    EXPECT_EQ(said(Rendered().with("maxUnavailable: 1\n  un", std::string(rule) + "\n  un").find(),
                   "budget-blocks-drain"),
              "")
        << rule;
  }
  EXPECT_SAYS(Rendered().with("maxUnavailable: 1\n  un", "minAvailable: 2\n  un").find(),
              "budget-blocks-drain", "until there are more");
  EXPECT_EQ(said(Rendered()
                     .with("{matchLabels: {app: web}}\n  template",
                           "{matchLabels: {app: web}}\n  template")
                     .with("selector: {matchLabels: {app: web}}\n",
                           "selector: {matchLabels: {app: other}}\n")
                     .find(),
                 "two-budgets"),
            "");
}

TEST(Findings, TwoBudgetsRefuseEveryEviction) {
  EXPECT_SAYS(
      Rendered()
          .plus("kind: PodDisruptionBudget\nmetadata: {name: b, namespace: shop}\nspec: "
                "{maxUnavailable: 1, selector: {matchExpressions: [{key: app, operator: In, "
                "values: [web, api]}]}}")
          .find(),
      "two-budgets", "2 budgets (web, b)");
}

TEST(Findings, BudgetKeepsBrokenPods) {
  constexpr std::string_view kPods = R"(kind: List
items:
  - kind: Pod
    metadata: {name: web-1, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, resources: {requests: {cpu: 250m}}}]}
    status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
  - kind: Pod
    metadata: {name: web-2, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, resources: {requests: {cpu: 250m}}}]}
    status: {phase: Running, conditions: [{type: Ready, status: "False"}]}
)";
  EXPECT_EQ(said(Rendered().plus(kPods).find(), "budget-keeps-unhealthy"), "");
  EXPECT_SAYS(Rendered().with("AlwaysAllow", "IfHealthyBudget").plus(kPods).find(),
              "budget-keeps-unhealthy", "1 of 2 pods is not ready and maxUnavailable 1 lets 0 go");
}

TEST(Findings, RolloutThatTakesTheLastPod) {
  Rendered one;
  one.with("minReplicas: 2", "minReplicas: 1");
  EXPECT_EQ(said(one.find(), "rollout-takes-last"), "");
  one.with("maxUnavailable: 0}", "maxUnavailable: 1}");
  EXPECT_SAYS(one.find(), "rollout-takes-last", "error: ");
  EXPECT_SAYS(Rendered()
                  .with("strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}",
                        "strategy: {type: Recreate}")
                  .find(),
              "recreate", "0 pods");
  EXPECT_SAYS(
      Rendered().with("maxSurge: 1, maxUnavailable: 0", "maxSurge: 0, maxUnavailable: 1").find(),
      "no-surge", "1 of 2 pods serve, 50 %");
  // Kubernetes' own: a quarter each, up and down.
  EXPECT_EQ(
      said(one.with("strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}", "paused: false")
               .find(),
           "rollout-takes-last"),
      "");
}

TEST(Findings, BehaviorThatDoesNotScale) {
  const auto with = [](std::string_view behavior) {
    return Rendered()
        .with("  maxReplicas: 10\n",
              "  maxReplicas: 10\n  behavior: " + std::string(behavior) + "\n")
        .find();
  };
  EXPECT_SAYS(with("{scaleUp: {selectPolicy: Disabled}}"), "scale-up-disabled", "error: ");
  EXPECT_SAYS(with("{scaleDown: {selectPolicy: Disabled}}"), "scale-down-disabled", "warning: ");
  EXPECT_SAYS(with("{scaleUp: {stabilizationWindowSeconds: 60}}"), "scale-up-waits", "60 s");
  EXPECT_SAYS(with("{scaleDown: {stabilizationWindowSeconds: 0}}"), "scale-down-at-once",
              "warning: ");
  EXPECT_SAYS(with("{scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}"),
              "slow-policies", "from 2 pods to 10");
  EXPECT_EQ(above_notes(with("{}")), "");
}

TEST(Findings, BoundsThatLeaveNothingToDo) {
  EXPECT_SAYS(Rendered().with("minReplicas: 2", "minReplicas: 10").find(), "never-scales", "10");
  EXPECT_SAYS(Rendered().with("  strategy:", "  replicas: 3\n  strategy:").find(), "replicas-set",
              "sets 3 pods");
  // A cluster fills it in; what was applied says whether it was meant.
  EXPECT_EQ(said(Rendered()
                     .with("  strategy:", "  replicas: 3\n  strategy:")
                     .with("kind: Deployment\nmetadata: {", "kind: Deployment\nmetadata: {uid: u, ")
                     .find(),
                 "replicas-set"),
            "");
  EXPECT_SAYS(Rendered()
                  .with("spec:\n  scaleTargetRef",
                        "status: {currentReplicas: 10, conditions: [{type: ScalingLimited, status: "
                        "\"True\", reason: TooManyReplicas}]}\nspec:\n  scaleTargetRef")
                  .find(),
              "at-maximum", "wants more");
  EXPECT_EQ(said(Rendered()
                     .with("spec:\n  scaleTargetRef",
                           "status: {currentReplicas: 9}\nspec:\n  scaleTargetRef")
                     .find(),
                 "at-maximum"),
            "");
}

TEST(Findings, WhatTheClusterSaysItself) {
  EXPECT_SAYS(Rendered()
                  .with("spec:\n  scaleTargetRef",
                        "status: {conditions: [{type: ScalingActive, status: \"False\", reason: "
                        "FailedGetResourceMetric, message: no metrics}]}\nspec:\n  scaleTargetRef")
                  .find(),
              "does-not-scale", "ScalingActive is False (FailedGetResourceMetric): no metrics");
}

TEST(Findings, TwoAutoscalersOfOneTarget) {
  constexpr std::string_view kKeda =
      "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web-so, namespace: "
      "shop}\n"
      "spec: {scaleTargetRef: {name: web}, maxReplicaCount: 5}";
  EXPECT_SAYS(Rendered().plus(kKeda).find(), "two-autoscalers",
              "HorizontalPodAutoscaler shop/web and ScaledObject shop/web-so");
  EXPECT_EQ(said(Rendered()
                     .with("metadata: {name: web, namespace: shop}\nspec:\n  scaleTargetRef",
                           "metadata: {name: web, namespace: shop, ownerReferences: [{kind: "
                           "ScaledObject, name: web-so}]}\nspec:\n  scaleTargetRef")
                     .plus(kKeda)
                     .find(),
                 "two-autoscalers"),
            "");
  EXPECT_SAYS(Rendered().with("kind: Deployment, name: web", "kind: Deployment, name: wbe").find(),
              "no-target", "error: ");
}

TEST(Findings, GraceThatCutsRequestsOff) {
  EXPECT_SAYS(Rendered().with("PeriodSeconds: 40", "PeriodSeconds: 25").find(), "grace-too-short",
              "is 25 s, and container main needs 25 s");
  EXPECT_SAYS(Rendered().with("args: [serve]", "args: [serve, --drain-timeout=60s]").find(),
              "grace-too-short", "needs 60 s");
  EXPECT_SAYS(
      Rendered()
          .with("args: [serve]", "lifecycle: {preStop: {exec: {command: [/bin/sh, -c, sleep 20]}}}")
          .find(),
      "grace-too-short", "needs 45 s (preStop 20 s)");
  FindingOptions slow;
  slow.request_timeout = seconds(60);
  EXPECT_SAYS(
      Rendered().with("podsense:0.1.0", "other:1").with("args: [serve]", "args: [run]").find(slow),
      "grace-too-short", "needs 60 s");
}

TEST(Findings, QuotaThatDoesNotHoldThemAll) {
  const auto with = [](std::string_view hard, std::string_view more = "") {
    return Rendered()
        .plus("kind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: {" +
              std::string(hard) + "}}\n" + std::string(more))
        .find();
  };
  EXPECT_SAYS(with("requests.cpu: 2"), "quota-below-max",
              "2 CPU at 0.25 CPU each of it hold 8 pods");
  EXPECT_SAYS(with("requests.memory: 2560Mi"), "quota-below-surge", "but not the 1 more");
  EXPECT_SAYS(with("pods: 9"), "quota-below-max", "9 places of it hold 9 pods");
  EXPECT_SAYS(with("limits.cpu: 5"), "quota-below-max", "hold 5 pods");
  EXPECT_EQ(above_notes(with("requests.cpu: 4, requests.memory: 4Gi, pods: 20")), "");
  // What others use is theirs: 3 of 4 CPU, of which two pods of its own have 0.5.
  EXPECT_SAYS(with("requests.cpu: 4", "status: {used: {requests.cpu: 3}}"), "quota-below-max",
              "hold 4 pods");
  EXPECT_SAYS(Rendered()
                  .with("limits: {cpu: \"1\", memory: 512Mi}", "limits: {memory: 512Mi}")
                  .plus("kind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: "
                        "{limits.cpu: 5}}")
                  .find(),
              "quota-needs-value", "refused");
}

constexpr std::string_view kNode = R"(kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1, topology.kubernetes.io/zone: a}}
status: {allocatable: {cpu: 2, memory: 16Gi, pods: 110}}
)";

TEST(Findings, NodesThatDoNotHoldThemAll) {
  EXPECT_SAYS(Rendered().plus(kNode).find(), "nodes-below-max", "1 node holds 8 pods");
  EXPECT_SAYS(Rendered()
                  .plus(kNode)
                  .plus("kind: Pod\nmetadata: {name: other, namespace: x}\nspec: {nodeName: n1, "
                        "containers: [{name: a, resources: {requests: {cpu: 1800m}}}]}\nstatus: "
                        "{phase: Running}")
                  .find(),
              "nodes-below-max", "error: 1 node holds 0 pods");
  EXPECT_EQ(said(Rendered().plus(kNode).with("cpu: 2, memory", "cpu: 4, memory").find(),
                 "nodes-below-max"),
            "");
}

TEST(Findings, PlacesThatDoNotHoldThemAll) {
  const auto with = [](std::string_view placing) {
    return Rendered()
        .with("      containers:\n", std::string(placing) + "\n      containers:\n")
        .plus(kNode)
        .find();
  };
  EXPECT_SAYS(with("      topologySpreadConstraints: [{topologyKey: topology.kubernetes.io/zone, "
                   "maxSkew: 1, minDomains: 3, whenUnsatisfiable: DoNotSchedule}]"),
              "spread-holds-fewer", "1 place: 1 pod of 10");
  EXPECT_SAYS(with("      topologySpreadConstraints: [{topologyKey: rack, maxSkew: 1, "
                   "whenUnsatisfiable: DoNotSchedule}]"),
              "spread-holds-fewer", "0 places: 0 pods of 10");
  EXPECT_EQ(said(with("      topologySpreadConstraints: [{topologyKey: rack, maxSkew: 1, "
                      "whenUnsatisfiable: ScheduleAnyway}]"),
                 "spread-holds-fewer"),
            "");
  EXPECT_SAYS(
      with("      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
           "[{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}]}}"),
      "anti-affinity-holds-fewer", "1 place hold as many pods");
}

TEST(Findings, ProbesAndStarts) {
  EXPECT_SAYS(Rendered()
                  .with("          startupProbe: {periodSeconds: 1, failureThreshold: 120}\n", "")
                  .with("          readinessProbe: {periodSeconds: 5}\n", "")
                  .find(),
              "no-readiness", "warning: ");
  FindingOptions slow;
  slow.start_up = seconds(130);
  EXPECT_SAYS(Rendered().find(slow), "probe-before-ready",
              "its startup probe gives up after 120 s");
  slow.start_up = seconds(31);
  EXPECT_EQ(said(Rendered().find(slow), "probe-before-ready"), "");
  EXPECT_SAYS(Rendered()
                  .with("          startupProbe: {periodSeconds: 1, failureThreshold: 120}\n", "")
                  .find(slow),
              "probe-before-ready", "its liveness probe gives up after 30 s");
  slow.start_up = minutes(6);
  EXPECT_SAYS(Rendered().find(slow), "start-beyond-cpu-initialization", "360 s");
  EXPECT_SAYS(Rendered().find(slow), "start-beyond-window", "300 s");
}

TEST(Findings, StartsAreMeasuredFromPods) {
  constexpr std::string_view kPod = R"(kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, creationTimestamp: "2026-11-29T10:00:00Z"}
spec: {containers: [{name: main, resources: {requests: {cpu: 250m}}}]}
status:
  phase: Running
  containerStatuses: [{restartCount: 0, state: {running: {startedAt: "2026-11-29T10:00:05Z"}}}]
  conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-11-29T10:01:15Z"}]
)";
  const auto found = Rendered().plus(kPod).find();
  EXPECT_SAYS(found, "ramp-limit", "75 s to be ready (median of 1 pod)");
  EXPECT_SAYS(found, "ramp-limit", "within 105 s");
  EXPECT_SAYS(found, "probe-near-start", "took 70 s");
}

TEST(Findings, TrafficThatIsTooQuickOrTooShort) {
  FindingOptions options;
  options.start_up = seconds(30);
  const auto with = [&](std::string_view shape, Duration length) {
    options.traffic = ExpectedTraffic{.shape = std::move(*arrivals::parse_shape(shape, length)),
                                      .length = length};
    return Rendered().with("limits: {cpu: \"1\"", "limits: {cpu: 250m").find(options);
  };
  EXPECT_SAYS(with("steps:10,10,40,40", minutes(40)), "ramp-beats-start", "error: ");
  EXPECT_SAYS(with("steps:10,10,40,40", minutes(40)), "ramp-beats-start", "grows by 4 times");
  EXPECT_EQ(said(with("ramp:10..40", minutes(40)), "ramp-beats-start"), "");
  EXPECT_SAYS(with("constant:10", minutes(4)), "window-outlives-traffic",
              "window for scaling down is 300 s");
  EXPECT_EQ(said(with("constant:10", minutes(40)), "window-outlives-traffic"), "");
  options.traffic =
      ExpectedTraffic{.shape = arrivals::moments({0}), .length = {}};  // a trace of one request
  EXPECT_EQ(said(Rendered().find(options), "ramp-beats-start"), "");
}

TEST(Findings, RefusesWhatIsNotThere) {
  const auto error = [](std::string_view text, const FindingOptions& options = {}) {
    const foresight::SnapshotFile file{"x.yaml", std::string(text)};
    const auto read = foresight::read_deployed({&file, 1});
    if (!read) {
      return read.error().message;
    }
    const auto found = find_faults(*read, options);
    return found ? "" : found.error().message;
  };
  EXPECT_EQ(error("kind: Service\nmetadata: {name: a}\n"),
            "the files have neither a Deployment or StatefulSet nor an autoscaler");
  EXPECT_EQ(error(kDeployment, {.name = "wbe"}), "nothing in the files is called wbe");
  EXPECT_EQ(error("- a\n"), "x.yaml: must be an object of Kubernetes, not a list");
  EXPECT_EQ(error("a: 1\n"), "x.yaml: has no kind; accepted: objects and lists of Kubernetes");
  EXPECT_EQ(error("{\"kind\": \"Deployment\", \"spec\": {\"replicas\": \"x\"}}"),
            "x.yaml: spec.replicas: must be a whole number, not \"x\"");
  EXPECT_NE(error("{\"kind\": ").find("x.yaml: is not JSON"), std::string::npos);
  EXPECT_NE(error("a: [\n").find("x.yaml: line 2: not YAML"), std::string::npos);
}

TEST(Findings, JsonHasTheSame) {
  const std::string json =
      findings_json(Rendered().with("minReplicas: 2", "minReplicas: 10").find());
  EXPECT_NE(json.find("\"id\": \"never-scales\", \"object\": \"HorizontalPodAutoscaler shop/web\""),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"figures\": {\"replicas\": 10}"), std::string::npos) << json;
  EXPECT_NE(json.find("\"errors\": 0, \"warnings\": 1"), std::string::npos) << json;
}

}  // namespace
}  // namespace podsense::plan
