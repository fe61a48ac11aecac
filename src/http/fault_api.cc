#include "http/fault_api.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace podsense::http {

using transport::error_response;
using transport::json_response;
using transport::Reply;
using transport::Request;
using transport::Response;
using transport::Router;
namespace {

using inference::Fault;
using inference::Faults;
using nlohmann::json;

constexpr double kMostMs = 60'000;

tl::unexpected<Error> wrong(const std::string& what) {
  return fail(ErrorCode::kInvalidArgument,
              what + R"(; accepted: {"unready": bool, "models": {"NAME or empty for all": )"
                     R"({"slow_ms": 0 to 60000, "fail": bool, "stuck": bool}}}; {} ends all)");
}

Result<Fault> read_fault(const std::string& model, const json& body) {
  Fault fault;
  if (!body.is_object()) {
    return wrong("the fault of model '" + model + "' is not an object");
  }
  for (const auto& [key, value] : body.items()) {
    if (key == "slow_ms" && value.is_number()) {
      const auto ms = value.get<double>();
      if (!(ms >= 0 && ms <= kMostMs)) {
        return wrong("slow_ms is out of range");
      }
      fault.slow = from_seconds(ms / 1e3);
    } else if (key == "fail" && value.is_boolean()) {
      fault.fail = value.get<bool>();
    } else if (key == "stuck" && value.is_boolean()) {
      fault.stuck = value.get<bool>();
    } else {
      return wrong("'" + key + "' is unknown or of the wrong type");
    }
  }
  return fault;
}

Result<Faults::State> read_state(const std::string& text) {
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object()) {
    return wrong("the body is not a JSON object");
  }
  Faults::State state;
  for (const auto& [key, value] : body.items()) {
    if (key == "unready" && value.is_boolean()) {
      state.unready = value.get<bool>();
    } else if (key == "models" && value.is_object()) {
      for (const auto& [model, described] : value.items()) {
        auto fault = read_fault(model, described);
        if (!fault) {
          return fail(std::move(fault.error()));
        }
        state.models[model] = *fault;
      }
    } else {
      return wrong("'" + key + "' is unknown or of the wrong type");
    }
  }
  return state;
}

Response state_response(const Faults::State& state) {
  json models = json::object();
  for (const auto& [model, fault] : state.models) {
    models[model] = {{"slow_ms", to_ms(fault.slow)}, {"fail", fault.fail}, {"stuck", fault.stuck}};
  }
  const json body{{"unready", state.unready}, {"models", std::move(models)}};
  return json_response(body.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

void add_fault_routes(Router& router, Faults& faults) {
  router.add({.path = "/v1/faults",
              .get = [&faults](Request&, Reply reply) { reply(state_response(faults.state())); },
              .post =
                  [&faults](Request& request, Reply reply) {
                    auto state = read_state(request.body);
                    if (!state) {
                      return reply(error_response(state.error(), request.id));
                    }
                    faults.set(std::move(*state));
                    reply(state_response(faults.state()));
                  },
              .max_body = 16U << 10U,
              .control = true});
}

}  // namespace podsense::http
