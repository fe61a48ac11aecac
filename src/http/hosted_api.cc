#include "http/hosted_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "inference/model_facts.h"
#include "inference/tasks/task.h"
#include "protocol/form.h"
#include "protocol/json_codec.h"
#include "protocol/v1_codec.h"

namespace podsense::http {

using transport::error_response;
using transport::Handler;
using transport::json_response;
using transport::Reply;
using transport::Request;
using transport::Router;
namespace {

using inference::Form;
using inference::ServedModel;
using inference::Service;
using nlohmann::json;
using ServedPtr = std::shared_ptr<const ServedModel>;

/// The POST handler of one of this server's own endpoints.
Handler post_of(const Router& router, std::string_view path) {
  return router.find(path)->route->post;
}
Handler get_of(const Router& router, std::string_view path) {
  return router.find(path)->route->get;
}

/// The names of models with a serving version.
std::set<std::string> names_of(const inference::Catalog& catalog) {
  std::set<std::string> names;
  for (const inference::ModelStatus& status : catalog.status()) {
    if (status.served) {
      names.insert(status.name);
    }
  }
  return names;
}

/// The named model; without a name the default for pictures or rows, or else the only model.
Result<ServedPtr> model_for(const inference::Catalog& catalog, const std::string& name,
                            bool picture) {
  if (!name.empty()) {
    return catalog.find({.name = name, .version = {}});
  }
  auto found = catalog.find({}, picture ? Form::kPicture : Form::kRows);
  const auto names = found ? std::set<std::string>() : names_of(catalog);
  return names.size() == 1 ? catalog.find({.name = *names.begin(), .version = {}})
                           : std::move(found);
}

/// Answers with JSON, or with the error.
template <class Answer, class Write>
inference::Done<Answer> answer_with(const Request& request, Reply reply, const Write& write) {
  return [id = request.id, reply = std::move(reply), write](Result<Answer> answer) mutable {
    Result<std::string> body =
        answer ? Result<std::string>(write(*answer)) : Result<std::string>(fail(answer.error()));
    reply(body ? json_response(std::move(*body)) : error_response(body.error(), id));
  };
}

void refuse(Service& service, const Request& request, Reply& reply, const Error& error) {
  service.reject(request.context, error.code);
  reply(error_response(error, request.id));
}

void predict_picture(Service& service, const Request& request, Reply reply,
                     const std::string& model, protocol::Instances instances) {
  if (instances.picture.empty() || instances.count > 1) {
    return refuse(service, request, reply,
                  {.code = ErrorCode::kInvalidArgument,
                   .message = "model '" + model +
                              "' takes one picture at a time: send {\"instances\": [{\"b64\": "
                              "\"<base64>\"}]}, or the picture itself to /predict"});
  }
  protocol::ClassifyRequest wanted{
      .model = {.name = model, .version = {}}, .image = std::move(instances.picture), .url = {}};
  service.classify(
      std::move(wanted), request.context,
      answer_with<protocol::ClassifyAnswer>(
          request, std::move(reply), [id = request.id](const protocol::ClassifyAnswer& answer) {
            std::string body = R"({"predictions":[)";
            protocol::write_classify(body, answer, id);
            return body + "]}";
          }));
}

void predict_rows(Service& service, const Request& request, Reply reply, const std::string& model,
                  const protocol::Instances& instances) {
  auto wanted = protocol::parse_instances(instances.json);
  if (!wanted) {
    return refuse(service, request, reply, wanted.error());
  }
  wanted->model.name = model;
  service.predict(std::move(*wanted), request.context,
                  answer_with<protocol::RowsAnswer>(request, std::move(reply),
                                                    [](const protocol::RowsAnswer& answer) {
                                                      return protocol::write_predictions(answer);
                                                    }));
}

void predict_tensors(Service& service, const Request& request, Reply reply,
                     const ServedModel& served, const protocol::Instances& instances) {
  auto body = protocol::instances_to_oip(instances, inference::inputs_of(served));
  auto wanted = body ? protocol::parse_oip_request(
                           {.bytes = std::make_shared<const std::string>(std::move(*body))})
                     : Result<protocol::InferRequest>(fail(body.error()));
  if (!wanted) {
    return refuse(service, request, reply, wanted.error());
  }
  wanted->model.name = served.name();
  service.infer(std::move(*wanted), request.context,
                answer_with<protocol::InferAnswer>(
                    request, std::move(reply),
                    [count = instances.count](const protocol::InferAnswer& answer) {
                      return protocol::write_predictions(answer, count);
                    }));
}

/// `{"instances": […]}` for a model of any task. `name` empty: the default or only model.
void predict_instances(Service& service, const Request& request, Reply reply,
                       const std::string& name) {
  const std::string type = protocol::media_type(request.header("content-type"));
  if (!protocol::may_be_json(type)) {
    return refuse(service, request, reply,
                  {.code = ErrorCode::kUnsupportedMedia,
                   .message = "Content-Type is '" + type + "'; accepted: application/json"});
  }
  auto instances = protocol::read_instances(request.body);
  if (!instances) {
    return refuse(service, request, reply, instances.error());
  }
  const auto served = model_for(service.catalog(), name, !instances->picture.empty());
  if (!served) {
    return refuse(service, request, reply, served.error());
  }
  switch ((*served)->task->kind().form()) {
    case Form::kPicture:
      return predict_picture(service, request, std::move(reply), (*served)->name(),
                             std::move(*instances));
    case Form::kRows:
      return predict_rows(service, request, std::move(reply), (*served)->name(), *instances);
    case Form::kCpuTime:
    case Form::kTensors:
      break;
  }
  predict_tensors(service, request, std::move(reply), **served, *instances);
}

/// POST to `/v1/models/{model}:predict`.
void predict_v1(Service& service, Request& request, Reply reply) {
  const auto name = protocol::decode_segment(request.path_values[0]);
  predict_instances(service, request, std::move(reply), name);
}

/// POST to `/v1/models/{model}:explain`.
void explain_v1(Service& service, Request& request, Reply reply) {
  refuse(
      service, request, reply,
      {.code = ErrorCode::kUnimplemented, .message = "explanations are not offered; ask :predict"});
}

/// The endpoints to which /invocations may forward a body.
struct Invocations {
  Service& service;
  Handler picture;  ///< /predict
  Handler any;      ///< /v1/infer
  Handler rows;     ///< /predict-single
  Handler oip;      ///< /v2/models/{model}/infer

  void operator()(Request& request, Reply reply) const {
    const std::string type = protocol::media_type(request.header("content-type"));
    if (type.starts_with("image/") || type == "multipart/form-data" ||
        type == "application/octet-stream" || protocol::begins_binary(request.body)) {
      return picture(request, std::move(reply));
    }
    if (protocol::has_member(request.body, "inputs")) {
      return infer(request, std::move(reply));
    }
    if (protocol::has_member(request.body, "features")) {
      return rows(request, std::move(reply));
    }
    if (protocol::has_member(request.body, "image") ||
        protocol::has_member(request.body, "image_url")) {
      return any(request, std::move(reply));
    }
    predict_instances(service, request, std::move(reply), {});
  }

  void infer(Request& request, Reply reply) const {
    const auto names = names_of(service.catalog());
    if (names.size() != 1) {
      return refuse(service, request, reply,
                    {.code = ErrorCode::kInvalidArgument,
                     .message = "there are " + std::to_string(names.size()) +
                                " models; send 'inputs' to /v2/models/NAME/infer"});
    }
    // The name outlives the handler, which reads it before it returns.
    request.path_values[0] = *names.begin();
    oip(request, std::move(reply));
  }
};

}  // namespace

void add_hosted_routes(Router& router, Service& service, const StatusSources& sources,
                       const ApiLimits& api_limits, const OipLimits& oip_limits,
                       const HostedRoutes& routes) {
  Router own;
  add_inference_routes(own, service, api_limits);
  add_oip_routes(own, service, sources, oip_limits);
  add_status_routes(own, sources, Readers::kAll);
  const Handler ready = get_of(own, "/readyz");
  const auto post = [&](std::string_view path, std::uint64_t most, Handler handler) {
    router.add({.path = std::string(path),
                .post = std::move(handler),
                .max_body = most,
                .api = true,
                .limit_text = most == api_limits.max_json_bytes ? "(limits.max_json_bytes)"
                                                                : limits_of_pictures(api_limits)});
  };
  const auto probe = [&](std::string_view path) {
    router.add({.path = std::string(path), .get = ready, .api = true, .open = true, .quiet = true});
  };
  const Handler invoke = Invocations{.service = service,
                                     .picture = post_of(own, "/predict"),
                                     .any = post_of(own, "/v1/infer"),
                                     .rows = post_of(own, "/predict-single"),
                                     .oip = post_of(own, "/v2/models/m/infer")};
  const std::uint64_t most = largest_body(api_limits);
  // If the server already has this path, its own route stays: it is a health path, too.
  if (!routes.health.empty() && !own.find(routes.health)) {
    probe(routes.health);
  }
  if (!routes.predict.empty()) {
    post(routes.predict, most, invoke);
  }
  probe("/ping");
  post("/invocations", most, invoke);
  post("/v1/models/{model}:predict", api_limits.max_json_bytes,
       [&service](Request& request, Reply reply) {
         predict_v1(service, request, std::move(reply));
       });
  post("/v1/models/{model}:explain", api_limits.max_json_bytes,
       [&service](Request& request, Reply reply) {
         explain_v1(service, request, std::move(reply));
       });
  router.add({.path = "/v1/models/{model}", .get = get_of(own, "/v2/models/m/ready"), .api = true});
  router.add({.path = "/v2/models",
              .get =
                  [&catalog = sources.catalog](Request&, Reply reply) {
                    reply(json_response(json{{"models", names_of(catalog)}}.dump(
                        -1, ' ', false, json::error_handler_t::replace)));
                  },
              .api = true});
}

}  // namespace podsense::http
