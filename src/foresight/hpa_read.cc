#include "foresight/hpa_read.h"

namespace podsense::foresight {
namespace {

constexpr std::size_t kMaxMetrics = 1000;
constexpr std::size_t kMaxPolicies = 1000;

Result<void> ignore(const JsonField& /*field*/) {
  return {};
}

struct Reference {
  std::string kind;
  std::string name;
};
constexpr FieldKey<Reference> kReferenceKeys[] = {
    {"apiVersion",
     [](const JsonField& field, Reference& /*out*/) { return field.text().map([](auto&&) {}); }},
    {"kind", [](const JsonField& field, Reference& out) { return put(field.text(), out.kind); }},
    {"name", [](const JsonField& field, Reference& out) { return put(field.text(), out.name); }},
};

constexpr FieldKey<MetricTarget> kTargetKeys[] = {
    {"type",
     [](const JsonField& field, MetricTarget& out) {
       return put_choice<TargetType>(field, kTargetTypeNames, out.type);
     }},
    {"value",
     [](const JsonField& field, MetricTarget& out) { return put(field.quantity(), out.value); }},
    {"averageValue", [](const JsonField& field,
                        MetricTarget& out) { return put(field.quantity(), out.average_value); }},
    {"averageUtilization",
     [](const JsonField& field, MetricTarget& out) {
       return put(field.int32(), out.average_utilization);
     }},
};

Result<void> read_target(const JsonField& field, MetricTarget& out) {
  if (auto done = read_object(field, kTargetKeys, out); !done) {
    return done;
  }
  if (!field.value().contains("type")) {
    return field.refuse("must have a type; accepted: Utilization, Value, AverageValue");
  }
  return {};
}

struct MetricName {
  std::string name;
};
constexpr FieldKey<MetricName> kIdentifierKeys[] = {
    {"name", [](const JsonField& field, MetricName& out) { return put(field.text(), out.name); }},
    {"selector", [](const JsonField& field, MetricName& /*out*/) { return ignore(field); }},
};

/// A metric while it is read: what the API has in one object of the type's name.
struct Source {
  MetricSpec metric;
  Reference object;
  bool has_target = false;
};
constexpr FieldKey<Source> kResourceKeys[] = {
    {"name",
     [](const JsonField& field, Source& out) { return put(field.text(), out.metric.name); }},
    {"container",
     [](const JsonField& field, Source& out) { return put(field.text(), out.metric.container); }},
    {"target",
     [](const JsonField& field, Source& out) {
       out.has_target = true;
       return read_target(field, out.metric.target);
     }},
};
constexpr FieldKey<Source> kMetricKeys[] = {
    {"metric",
     [](const JsonField& field, Source& out) {
       MetricName name;
       auto done = read_object(field, kIdentifierKeys, name);
       out.metric.name = name.name;
       return done;
     }},
    {"describedObject", [](const JsonField& field,
                           Source& out) { return read_object(field, kReferenceKeys, out.object); }},
    {"target",
     [](const JsonField& field, Source& out) {
       out.has_target = true;
       return read_target(field, out.metric.target);
     }},
};

constexpr std::array<std::string_view, 6> kMetricFields{"resource", "containerResource", "pods",
                                                        "object",   "external",          "type"};

Result<void> read_source(const JsonField& field, Origin origin, Source& out) {
  const bool is_resource = out.metric.source == MetricSource::kResource ||
                           out.metric.source == MetricSource::kContainerResource;
  if (auto done = is_resource ? read_object(field, kResourceKeys, out)
                              : read_object(field, kMetricKeys, out);
      !done) {
    return done;
  }
  if (out.metric.source == MetricSource::kResource && !out.metric.container.empty()) {
    return field.refuse("a Resource metric has no container; accepted: type ContainerResource");
  }
  if (!out.has_target) {
    return field.refuse("must have a target");
  }
  const bool is_object = out.metric.source == MetricSource::kObject;
  if (is_object && origin != Origin::kVector &&
      (out.object.kind.empty() || out.object.name.empty())) {
    return field.refuse("describedObject must have kind and name");
  }
  out.metric.object = is_object ? out.object.kind + "/" + out.object.name : "";
  return {};
}

Result<MetricSpec> read_metric(const JsonField& field, Origin origin) {
  if (!field.value().is_object()) {
    return field.wrong_type("an object");
  }
  const auto type = field.value().find("type");
  if (type == field.value().end()) {
    return field.refuse(
        "must have a type; accepted: Resource, ContainerResource, Pods, Object, External");
  }
  Source source;
  if (auto done = put_choice<MetricSource>(JsonField(*type, field, "type"), kMetricSourceNames,
                                           source.metric.source);
      !done) {
    return fail(done.error());
  }
  const std::string_view wanted = kMetricFields[static_cast<std::size_t>(source.metric.source)];
  bool is_read = false;
  auto done = field.members([&](std::string_view key, const JsonField& child) -> Result<void> {
    if (key == wanted) {
      is_read = true;
      return read_source(child, origin, source);
    }
    if (key == "type") {
      return {};
    }
    const bool is_known = std::ranges::find(kMetricFields, key) != kMetricFields.end();
    return is_known
               ? Result<void>(child.refuse("does not go with type " + type->get<std::string>() +
                                           "; accepted: " + std::string(wanted)))
               : Result<void>(field.unknown_key(key, kMetricFields));
  });
  if (!done) {
    return fail(done.error());
  }
  return is_read ? Result<MetricSpec>(std::move(source.metric))
                 : Result<MetricSpec>(field.refuse("must have " + std::string(wanted)));
}

constexpr FieldKey<ScalingPolicy> kPolicyKeys[] = {
    {"type",
     [](const JsonField& field, ScalingPolicy& out) {
       return put_choice<PolicyType>(field, kPolicyTypeNames, out.type);
     }},
    {"value",
     [](const JsonField& field, ScalingPolicy& out) { return put(field.int32(), out.value); }},
    {"periodSeconds", [](const JsonField& field,
                         ScalingPolicy& out) { return put(field.int32(), out.period_seconds); }},
};

Result<void> read_policies(const JsonField& field, ScalingRules& out) {
  out.policies.emplace();
  return field.each(kMaxPolicies, [&](const JsonField& child) -> Result<void> {
    ScalingPolicy policy;
    if (auto done = read_object(child, kPolicyKeys, policy); !done) {
      return done;
    }
    if (!child.value().contains("type")) {
      return child.refuse("must have a type; accepted: Pods, Percent");
    }
    out.policies->push_back(policy);
    return {};
  });
}

constexpr FieldKey<ScalingRules> kRulesKeys[] = {
    {"stabilizationWindowSeconds",
     [](const JsonField& field, ScalingRules& out) {
       return put(field.int32(), out.window_seconds);
     }},
    {"selectPolicy",
     [](const JsonField& field, ScalingRules& out) {
       return put_choice<SelectPolicy>(field, kSelectPolicyNames, out.select);
     }},
    {"policies", read_policies},
    {"tolerance", [](const JsonField& field,
                     ScalingRules& out) { return put(field.quantity(), out.tolerance); }},
};

Result<void> read_rules(const JsonField& field, std::optional<ScalingRules>& out) {
  return read_object(field, kRulesKeys, out.emplace());
}

constexpr FieldKey<Behavior> kBehaviorKeys[] = {
    {"scaleUp", [](const JsonField& field, Behavior& out) { return read_rules(field, out.up); }},
    {"scaleDown",
     [](const JsonField& field, Behavior& out) { return read_rules(field, out.down); }},
};

struct Reading {
  HpaSpec spec;
  Origin origin = Origin::kVector;
  Reference target;
};
constexpr FieldKey<Reading> kSpecKeys[] = {
    {"scaleTargetRef", [](const JsonField& field,
                          Reading& out) { return read_object(field, kReferenceKeys, out.target); }},
    {"minReplicas", [](const JsonField& field,
                       Reading& out) { return put(field.int32(), out.spec.min_replicas); }},
    {"maxReplicas", [](const JsonField& field,
                       Reading& out) { return put(field.int32(), out.spec.max_replicas); }},
    {"metrics",
     [](const JsonField& field, Reading& out) {
       return field.each(kMaxMetrics, [&](const JsonField& child) -> Result<void> {
         auto metric = read_metric(child, out.origin);
         if (!metric) {
           return fail(metric.error());
         }
         out.spec.metrics.push_back(std::move(*metric));
         return {};
       });
     }},
    {"behavior",
     [](const JsonField& field, Reading& out) {
       return read_object(field, kBehaviorKeys, out.spec.behavior.emplace());
     }},
};

/// What a user's file means once the API server has stored it.
void store(HpaSpec& spec) {
  if (!spec.behavior) {
    return;
  }
  for (auto* const rules : {&spec.behavior->up, &spec.behavior->down}) {
    if (*rules && (*rules)->tolerance) {
      (*rules)->tolerance = (*rules)->tolerance->canonical();
    }
  }
}

struct ConditionText {
  std::string type;
  std::string status;
  std::string reason;
};

}  // namespace

Result<HpaSpec> read_spec(const JsonField& field, Origin origin) {
  Reading reading{.origin = origin};
  if (auto done = read_object(field, kSpecKeys, reading); !done) {
    return fail(done.error());
  }
  if (origin != Origin::kVector && (reading.target.kind.empty() || reading.target.name.empty())) {
    return field.refuse("scaleTargetRef must have kind and name");
  }
  if (origin == Origin::kUser) {
    store(reading.spec);
  }
  return std::move(reading.spec);
}

Result<Conditions> read_conditions(const JsonField& status) {
  Conditions out;
  const auto& value = status.value();
  const auto found = value.is_object() ? value.find("conditions") : value.end();
  if (found == value.end() || found->is_null()) {
    return out;
  }
  auto done = JsonField(*found, status, "conditions")
                  .each(kMaxMetrics, [&](const JsonField& child) -> Result<void> {
                    ConditionText text;
                    auto read = child.members(
                        [&](std::string_view key, const JsonField& member) -> Result<void> {
                          std::string* const to = key == "type"     ? &text.type
                                                  : key == "status" ? &text.status
                                                  : key == "reason" ? &text.reason
                                                                    : nullptr;
                          return to == nullptr ? Result<void>{} : put(member.text(), *to);
                        });
                    const auto* const name = std::ranges::find(kConditionNames, text.type);
                    if (read && name != kConditionNames.end()) {
                      out[static_cast<std::size_t>(name - kConditionNames.begin())] = {
                          .status = text.status == "True", .reason = text.reason};
                    }
                    return read;
                  });
  return done ? Result<Conditions>(std::move(out)) : Result<Conditions>(fail(done.error()));
}

}  // namespace podsense::foresight
