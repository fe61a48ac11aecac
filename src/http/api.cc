#include "http/api.h"

#include <variant>

#include "protocol/form.h"
#include "protocol/json_codec.h"

namespace podsense::http {

using transport::error_response;
using transport::Handler;
using transport::Reply;
using transport::Request;
using transport::Response;
using transport::Router;
namespace {

using inference::Service;

Result<void> expect_json(const Request& request) {
  const std::string type = protocol::media_type(request.header("content-type"));
  if (protocol::may_be_json(type)) {
    return {};
  }
  return fail(ErrorCode::kUnsupportedMedia,
              "Content-Type is '" + type + "'; accepted: application/json");
}

template <class Value>
Result<Value> with_query(const Request& request, Result<Value> value) {
  if (!value || request.query.empty()) {
    return value;
  }
  const auto query = protocol::parse_query(request.query);
  if (!query) {
    return fail(query.error());
  }
  if (auto applied = protocol::apply_query(*query, *value); !applied) {
    return fail(std::move(applied.error()));
  }
  return value;
}

Result<protocol::ClassifyRequest> read_image(Request& request) {
  const std::string_view header = request.header("content-type");
  const std::string type = protocol::media_type(header);
  if (request.body.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the body is empty; send a JPEG, PNG or WebP picture");
  }
  if (type == "multipart/form-data") {
    const auto boundary = protocol::media_parameter(header, "boundary");
    if (!boundary) {
      return fail(ErrorCode::kInvalidArgument,
                  "Content-Type multipart/form-data has no boundary parameter");
    }
    return protocol::classify_from_form(request.body, *boundary);
  }
  if (type == "application/json" || type.ends_with("+json")) {
    return protocol::parse_classify_image(request.body);
  }
  // curl --data-binary says urlencoded whatever it sends: the content decides, as for any other.
  if (type.empty() || type.starts_with("image/") || type == "application/octet-stream" ||
      type == "application/x-www-form-urlencoded") {
    protocol::ClassifyRequest picture;
    picture.image = std::move(request.body);
    return picture;
  }
  return fail(ErrorCode::kUnsupportedMedia,
              "Content-Type is '" + type +
                  "'; accepted: image/jpeg, image/png, image/webp, application/octet-stream, "
                  "multipart/form-data, application/json");
}

/// An answer written by `write`, or the error.
template <class Answer>
inference::Done<Answer> answer_with(Request& request, Reply reply,
                                    void (*write)(std::string&, const Answer&, std::string_view)) {
  return [&request, reply = std::move(reply), write](Result<Answer> answer) mutable {
    if (!answer) {
      return reply(error_response(answer.error(), request.id));
    }
    Response response;
    response.body.reserve(512);
    write(response.body, *answer, request.id);
    reply(std::move(response));
  };
}

/// Runs `call` with what was read, or refuses.
template <class Value, class Call>
void proceed(Service& service, Request& request, Reply& reply, Result<Value> value, Call call) {
  if (!value) {
    service.reject(request.context, value.error().code);
    return reply(error_response(value.error(), request.id));
  }
  call(std::move(*value));
}

void predict_image(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, with_query(request, read_image(request)),
          [&](protocol::ClassifyRequest wanted) {
            service.classify(std::move(wanted), request.context,
                             answer_with(request, std::move(reply), &protocol::write_classify));
          });
}

template <class Value>
Result<Value> read_json(const Request& request, Result<Value> (*parse)(std::string_view)) {
  if (auto json = expect_json(request); !json) {
    return fail(std::move(json.error()));
  }
  return with_query(request, parse(request.body));
}

void predict_url(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, read_json(request, &protocol::parse_classify_url),
          [&](protocol::ClassifyRequest wanted) {
            service.classify(std::move(wanted), request.context,
                             answer_with(request, std::move(reply), &protocol::write_classify));
          });
}

void predict_single(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, read_json(request, &protocol::parse_features),
          [&](protocol::RowsRequest wanted) {
            service.predict(std::move(wanted), request.context,
                            answer_with(request, std::move(reply), &protocol::write_features));
          });
}

void predict_batch(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, read_json(request, &protocol::parse_instances),
          [&](protocol::RowsRequest wanted) {
            service.predict(std::move(wanted), request.context,
                            answer_with(request, std::move(reply), &protocol::write_instances));
          });
}

/// A picture, a URL or a row: the answer is that of the endpoint for it.
void infer_any(Service& service, Request& request, Reply reply) {
  using Wanted = std::variant<protocol::ClassifyRequest, protocol::RowsRequest>;
  auto json = expect_json(request);
  if (json && !request.query.empty()) {
    json = fail(ErrorCode::kInvalidArgument, "/v1/infer takes no query parameters");
  }
  Result<Wanted> wanted =
      json ? protocol::parse_infer(request.body) : Result<Wanted>(fail(std::move(json.error())));
  proceed(service, request, reply, std::move(wanted), [&](Wanted any) {
    if (auto* picture = std::get_if<protocol::ClassifyRequest>(&any)) {
      return service.classify(std::move(*picture), request.context,
                              answer_with(request, std::move(reply), &protocol::write_classify));
    }
    service.predict(std::move(std::get<protocol::RowsRequest>(any)), request.context,
                    answer_with(request, std::move(reply), &protocol::write_features));
  });
}

void simulate(Service& service, Request& request, Reply reply) {
  auto wanted =
      request.body.empty()
          ? with_query(request, Result<protocol::SimulateRequest>(protocol::SimulateRequest{}))
          : read_json(request, &protocol::parse_simulate);
  proceed(service, request, reply, std::move(wanted),
          [&](const protocol::SimulateRequest& simulated) {
            service.simulate(simulated, request.context,
                             answer_with(request, std::move(reply), &protocol::write_simulate));
          });
}

}  // namespace

void add_inference_routes(Router& router, Service& service, const ApiLimits& limits) {
  const auto post = [&](const char* path, std::uint64_t most, auto use) {
    router.add({.path = path,
                .post = [&service, use](Request& request,
                                        Reply reply) { use(service, request, std::move(reply)); },
                .max_body = most,
                .api = true});
  };
  post("/predict", std::max(limits.max_image_bytes, limits.max_json_bytes), &predict_image);
  post("/predict/url", limits.max_json_bytes, &predict_url);
  post("/predict-single", limits.max_json_bytes, &predict_single);
  post("/predict-batch", limits.max_json_bytes, &predict_batch);
  post("/v1/infer", limits.max_json_bytes, &infer_any);
  const Handler simulated = [&service](Request& request, Reply reply) {
    simulate(service, request, std::move(reply));
  };
  router.add({.path = "/infer",
              .get = simulated,
              .post = simulated,
              .max_body = limits.max_json_bytes,
              .body_required = false,
              .api = true});
}

}  // namespace podsense::http
