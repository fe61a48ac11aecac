#include "foresight/vectors.h"

#include <array>
#include <chrono>
#include <istream>
#include <ostream>

#include "base/text.h"
#include "foresight/explain.h"

namespace podsense::foresight {
namespace {

constexpr std::size_t kMaxLine = 256U << 20U;

/// One line, or nothing at the end; longer than allowed is kept to its first byte too many.
bool read_line(std::istream& in, std::string& line) {
  line.clear();
  char byte = 0;
  while (line.size() <= kMaxLine && in.get(byte)) {
    if (byte == '\n') {
      return true;
    }
    line.push_back(byte);
  }
  return !line.empty();
}

void append_conditions(const Conditions& conditions, std::string& out) {
  // As Go writes a map: in the order of the names.
  constexpr std::array kOrder{ConditionType::kAbleToScale, ConditionType::kScaledToZero,
                              ConditionType::kScalingActive, ConditionType::kScalingLimited};
  out += "{";
  bool is_first = true;
  for (const ConditionType type : kOrder) {
    const auto index = static_cast<std::size_t>(type);
    const auto& condition = conditions[index];
    if (!condition) {
      continue;
    }
    out += is_first ? "\"" : ",\"";
    is_first = false;
    out += std::string(kConditionNames[index]) + "\":";
    append_json_string(out, (condition->status ? "True " : "False ") + condition->reason);
  }
  out += "}";
}

void append_answer(const VectorCase& one, std::size_t tick, const Look& look, const Hpa& hpa,
                   bool with_words, std::string& out) {
  out += "{\"case\":";
  append_json_string(out, one.name);
  out += ",\"tick\":";
  append_json_number(out, tick);
  out += ",\"at\":";
  append_json_number(out, std::chrono::duration<double>(one.ticks[tick].at).count());
  out += ",\"current\":";
  append_json_number(out, look.current);
  out += ",\"desired\":";
  append_json_number(out, look.desired);
  out += look.rescaled ? ",\"rescaled\":true" : ",\"rescaled\":false";
  out += ",\"conditions\":";
  append_conditions(hpa.conditions(), out);
  if (const std::string error = metrics_error(look, hpa.spec()); !error.empty()) {
    out += ",\"error\":";
    append_json_string(out, error);
  }
  if (with_words) {
    out += ",\"explain\":[";
    for (const std::string& line : explain(look, hpa)) {
      out += out.back() == '[' ? "" : ",";
      append_json_string(out, line);
    }
    out += "]";
  }
  out += "}\n";
}

}  // namespace

void replay(const VectorCase& one, const VectorOptions& options, std::string& out) {
  Hpa hpa(one.settings, one.spec, one.conditions);
  std::int32_t replicas = one.replicas;
  // From 1.37 on the first look is at creation, before any tick has shown a pod, and an edit of the
  // spec brings one at once: half a period before the tick's own, as the oracle edits.
  const bool is_eager =
      one.mode == VectorMode::kLoop && one.settings.version >= KubernetesVersion::k137;
  if (is_eager && !one.ticks.empty()) {
    replicas = hpa.look(Duration::zero(), {.spec_replicas = replicas}).desired;
  }
  for (std::size_t i = 0; i < one.ticks.size(); ++i) {
    const VectorTick& tick = one.ticks[i];
    replicas = tick.spec_replicas.value_or(replicas);
    ClusterView view = tick.view;
    const std::int32_t before = replicas;
    bool is_moved = false;
    if (tick.edit) {
      hpa.change_spec(*tick.edit);
      if (is_eager) {
        view.spec_replicas = replicas;
        const Look early = hpa.look(tick.at - one.settings.flags.sync_period / 2, view);
        replicas = early.desired;
        is_moved = early.rescaled;
      }
    }
    view.spec_replicas = replicas;
    Look look = hpa.look(tick.at, view);
    replicas = look.desired;
    look.current = before;
    look.rescaled = look.rescaled || is_moved;
    append_answer(one, i, look, hpa, options.explain, out);
  }
}

Result<void> replay_lines(std::istream& in, std::string_view name, const VectorOptions& options,
                          std::ostream& out) {
  std::string line;
  std::string answer;
  for (std::size_t number = 1; read_line(in, line); ++number) {
    const std::string at = std::string(name) + " line " + std::to_string(number) + ": ";
    if (line.size() > kMaxLine) {
      return fail(ErrorCode::kInvalidArgument, at + "is longer than 256 MiB");
    }
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    const auto one = parse_case(line, options);
    if (!one) {
      return fail(ErrorCode::kInvalidArgument, at + one.error().message);
    }
    answer.clear();
    replay(*one, options, answer);
    out << answer;
  }
  return {};
}

}  // namespace podsense::foresight
