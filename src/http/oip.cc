#include "http/oip.h"

#include <algorithm>
#include <array>
#include <utility>

#include "http/oip_documents.h"
#include "inference/model_facts.h"
#include "protocol/form.h"
#include "protocol/oip_codec.h"

namespace podsense::http {

using transport::json_response;
using transport::oip_error_response;
using transport::Reply;
using transport::Request;
using transport::Response;
using transport::Router;
namespace {

using inference::Service;
using nlohmann::json;

constexpr std::string_view kJsonSize = "Inference-Header-Content-Length";
constexpr std::string_view kJsonSizeField = "inference-header-content-length";
constexpr std::string_view kBinary = "application/octet-stream";

/// External texts (file names, reasons) may contain any bytes: invalid UTF-8 is replaced.
Response document(const json& body, int status = 200) {
  Response response =
      json_response(body.dump(-1, ' ', false, json::error_handler_t::replace), status);
  if (status == 503) {
    response.code = error_name(ErrorCode::kUnavailable);
  }
  return response;
}

protocol::ModelRef model_of(const Request& request) {
  return {.name = protocol::decode_segment(request.path_values[0]),
          .version = protocol::decode_segment(request.path_values[1])};
}

// --- infer

Result<std::optional<std::size_t>> json_size(const Request& request) {
  const auto given = request.headers.count(kJsonSizeField);
  if (given == 0) {
    return std::nullopt;
  }
  if (given > 1) {
    return fail(ErrorCode::kInvalidArgument, std::string(kJsonSize) + " is given twice");
  }
  const auto value = request.header(kJsonSizeField);
  const auto size = protocol::parse_json_size(value, request.body.size());
  if (!size) {
    return fail(size.error());
  }
  return *size;
}

/// Clients send binary data as octet-stream and JSON as JSON; curl's default is urlencoded.
Result<void> expect_type(const Request& request, bool with_size) {
  const std::string type = protocol::media_type(request.header("content-type"));
  if (with_size || type == kBinary || protocol::may_be_json(type)) {
    return {};
  }
  return fail(ErrorCode::kUnsupportedMedia, "Content-Type is '" + type +
                                                "'; accepted: application/json, and "
                                                "application/octet-stream with binary data");
}

Result<protocol::InferRequest> read_raw(Service& service, const protocol::ModelRef& model,
                                        Request& request) {
  const auto served = service.catalog().find(model);
  if (!served) {
    return fail(served.error());
  }
  return protocol::parse_oip_raw(std::make_shared<const std::string>(std::move(request.body)),
                                 inference::inputs_of(**served));
}

Result<protocol::InferRequest> read_infer(Service& service, const OipLimits& limits,
                                          Request& request) {
  const auto size = json_size(request);
  if (!size) {
    return fail(size.error());
  }
  if (auto type = expect_type(request, size->has_value()); !type) {
    return fail(std::move(type.error()));
  }
  protocol::ModelRef model = model_of(request);
  if (const std::size_t bytes = size->value_or(request.body.size());
      bytes > limits.max_json_bytes) {
    return fail(ErrorCode::kPayloadTooLarge,
                "the JSON has " + std::to_string(bytes) + " bytes; accepted are up to " +
                    std::to_string(limits.max_json_bytes) +
                    " (limits.max_json_bytes); send tensors as binary data");
  }
  auto wanted = *size == 0
                    ? read_raw(service, model, request)
                    : protocol::parse_oip_request(
                          {.bytes = std::make_shared<const std::string>(std::move(request.body)),
                           .json_size = *size});
  if (wanted) {
    wanted->model = std::move(model);
  }
  return wanted;
}

/// The maximum size of the outputs as JSON, in bytes; binary outputs are not converted.
std::uint64_t json_bytes(const protocol::InferAnswer& answer) {
  constexpr std::uint64_t kOfNumber = 20;  // -1.2345678e-38, and a comma
  std::uint64_t bytes = 0;
  for (const protocol::OutputTensor& output : answer.outputs) {
    if (output.binary_data.value_or(answer.binary_data_output)) {
      continue;
    }
    const std::uint64_t width = element_size(output.type);
    bytes += width == 0 ? 2 * output.data.size() : output.data.size() / width * kOfNumber;
  }
  return bytes;
}

Response infer_response(const protocol::InferAnswer& answer, MemoryBudget* budget) {
  auto memory = MemoryBudget::share(budget, MemoryUse::kAnswers);
  if (auto taken = memory.grow_to(json_bytes(answer)); !taken) {
    return oip_error_response(taken.error());
  }
  auto body = protocol::write_oip_answer(answer);
  if (!body) {
    return oip_error_response(body.error());
  }
  Response response = json_response(std::move(body->json));
  response.memory = std::move(memory);
  if (body->json_size) {
    response.content_type = kBinary;
    response.headers.emplace_back(kJsonSize, std::to_string(*body->json_size));
    response.tail = std::move(body->binary);
    response.tail_owner = answer.storage;
  }
  return response;
}

void infer(Service& service, const OipLimits& limits, Request& request, Reply reply) {
  auto wanted = read_infer(service, limits, request);
  if (!wanted) {
    service.reject(request.context, wanted.error().code);
    return reply(oip_error_response(wanted.error()));
  }
  service.infer(
      std::move(*wanted), request.context,
      [reply = std::move(reply),
       memory = limits.memory](Result<protocol::InferAnswer> answer) mutable {
        reply(answer ? infer_response(*answer, memory) : oip_error_response(answer.error()));
      });
}

// --- metadata

json server_metadata(const StatusSources& sources) {
  return {{"name", "podsense"},
          {"version", sources.build.version},
          {"extensions", protocol::kOipExtensions}};
}

Response metadata(const inference::Catalog& catalog, const Request& request) {
  const auto served = catalog.find(model_of(request));
  if (!served) {
    return oip_error_response(served.error());
  }
  return document(oip_metadata(**served, versions_of(catalog, (*served)->name())));
}

Response config(const inference::Catalog& catalog, const Request& request) {
  const auto served = catalog.find(model_of(request));
  return served ? document(oip_config(**served)) : oip_error_response(served.error());
}

/// 404 for unknown models, 503 for models that are known but not serving.
Response model_ready(const StatusSources& sources, const Request& request) {
  const protocol::ModelRef ref = model_of(request);
  const auto served = sources.catalog.find(ref);
  if (served) {
    const bool ready = !sources.lifecycle.closed;
    return document(json{{"name", ref.name}, {"ready", ready}}, ready ? 200 : 503);
  }
  for (const inference::ModelStatus& status : sources.catalog.status()) {
    if (status.name == ref.name && (ref.version.empty() || ref.version == status.version)) {
      return document(json{{"name", ref.name}, {"ready", false}}, 503);
    }
  }
  const auto unloaded = sources.catalog.unloaded();
  if (served.error().code == ErrorCode::kUnavailable ||
      std::ranges::find(unloaded, ref.name) != unloaded.end()) {
    return document(json{{"name", ref.name}, {"ready", false}}, 503);
  }
  return oip_error_response(served.error());
}

/// Statistics of the version in the path, or else of all serving versions.
Response statistics(const inference::Catalog& catalog, const Request& request) {
  const protocol::ModelRef ref = model_of(request);
  json list = json::array();
  if (!ref.name.empty()) {
    if (const auto served = catalog.find(ref); !served) {
      return oip_error_response(served.error());
    }
  }
  for (const inference::ModelStatus& status : catalog.status()) {
    if (status.served && (ref.name.empty() || ref.name == status.name) &&
        (ref.version.empty() || ref.version == status.version)) {
      list.push_back(oip_statistics(status.served->statistics()));
    }
  }
  return document(json{{"model_stats", std::move(list)}});
}

// --- repository

/// Parses a control request's body: an object, or an empty body.
Result<json> control_body(const Request& request) {
  if (request.body.find_first_not_of(" \t\r\n") == std::string::npos) {
    return json::object();
  }
  json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) {
    return fail(ErrorCode::kInvalidArgument,
                "the body is not a JSON object; it must be one or empty");
  }
  return body;
}

Response repository_index(const inference::Catalog& catalog, const Request& request) {
  const auto body = control_body(request);
  if (!body) {
    return oip_error_response(body.error());
  }
  const auto ready = body->find("ready");
  if (ready != body->end() && !ready->is_boolean()) {
    return oip_error_response(
        {.code = ErrorCode::kInvalidArgument, .message = "ready must be true or false"});
  }
  return document(oip_repository_index(catalog, ready != body->end() && ready->get<bool>()));
}

/// @errors kUnimplemented: parameters that would replace the repository's own files
Result<void> check_control(const Request& request) {
  const auto body = control_body(request);
  if (!body) {
    return fail(body.error());
  }
  const auto parameters = body->find("parameters");
  if (parameters == body->end()) {
    return {};
  }
  if (!parameters->is_object()) {
    return fail(ErrorCode::kInvalidArgument, "parameters must be an object");
  }
  for (const auto& [name, value] : parameters->items()) {
    if (name == "config" || name.starts_with("file:")) {
      return fail(ErrorCode::kUnimplemented,
                  "parameters." + name.substr(0, 64) +
                      " is not offered: models and their settings are the repository's files");
    }
    if (name != "unload_dependents") {
      return fail(ErrorCode::kInvalidArgument,
                  "unknown parameter '" + name.substr(0, 64) + "'; accepted is: unload_dependents");
    }
  }
  return {};
}

void change(inference::Control& control, inference::ControlRequest::Action action,
            const Request& request, Reply reply) {
  if (auto right = check_control(request); !right) {
    return reply(oip_error_response(right.error()));
  }
  control.submit(
      {.action = action, .model = model_of(request).name},
      [reply = std::move(reply)](const auto& outcome) mutable {
        reply(outcome ? Response{.content_type = {}} : oip_error_response(outcome.error()));
      });
}

/// Adds GET routes whose answers need no waiting. kProbe: called frequently by machines, without a
/// key.
enum class Asked { kByClients, kByMonitors, kProbe };
template <class Make>
void add_get(Router& router, std::initializer_list<std::string_view> paths, Asked asked,
             const Make& make) {
  for (const std::string_view path : paths) {
    router.add({.path = std::string(path),
                .get = [make](Request& request, Reply reply) { reply(make(request)); },
                .api = true,
                .open = asked == Asked::kProbe,
                .quiet = asked != Asked::kByClients});
  }
}

}  // namespace

void add_oip_routes(Router& router, Service& service, const StatusSources& sources,
                    const OipLimits& limits) {
  inference::Catalog& catalog = sources.catalog;
  for (const char* path :
       {"/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"}) {
    router.add({.path = path,
                .post = [&service, limits](
                            Request& request,
                            Reply reply) { infer(service, limits, request, std::move(reply)); },
                .max_body = limits.max_body_bytes,
                .api = true,
                .limit_text = "(limits.max_tensor_bytes)"});
  }
  add_get(router, {"/v2", "/v2/"}, Asked::kByClients,
          [sources](const Request&) { return document(server_metadata(sources)); });
  add_get(router, {"/v2/health/live"}, Asked::kProbe,
          [](const Request&) { return document(json{{"live", true}}); });
  add_get(router, {"/v2/health/ready"}, Asked::kProbe, [sources](const Request&) {
    const bool ready = !sources.lifecycle.closed && sources.catalog.ready();
    return document(json{{"ready", ready}}, ready ? 200 : 503);
  });
  add_get(router, {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"},
          Asked::kByClients,
          [&catalog](const Request& request) { return metadata(catalog, request); });
  add_get(router, {"/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"},
          Asked::kProbe,
          [sources](const Request& request) { return model_ready(sources, request); });
  add_get(router, {"/v2/models/{model}/config", "/v2/models/{model}/versions/{version}/config"},
          Asked::kByClients,
          [&catalog](const Request& request) { return config(catalog, request); });
  add_get(router,
          {"/v2/models/stats", "/v2/models/{model}/stats",
           "/v2/models/{model}/versions/{version}/stats"},
          Asked::kByMonitors,
          [&catalog](const Request& request) { return statistics(catalog, request); });
}

void add_oip_repository_routes(Router& router, inference::Catalog& catalog,
                               inference::Control& control) {
  using Action = inference::ControlRequest::Action;
  const auto post = [&](const char* path, auto use) {
    router.add({.path = path,
                .post = [use](Request& request, Reply reply) { use(request, std::move(reply)); },
                .max_body = 64U << 10U,
                .body_required = false,
                .control = true});
  };
  post("/v2/repository/index",
       [&catalog](Request& request, Reply reply) { reply(repository_index(catalog, request)); });
  post("/v2/repository/models/{model}/load", [&control](Request& request, Reply reply) {
    change(control, Action::kLoad, request, std::move(reply));
  });
  post("/v2/repository/models/{model}/unload", [&control](Request& request, Reply reply) {
    change(control, Action::kUnload, request, std::move(reply));
  });
}

}  // namespace podsense::http
