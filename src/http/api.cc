#include "http/api.h"

#include <variant>

#include "http/pictures_api.h"
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

Result<protocol::Pictures> with_query(const Request& request, Result<protocol::Pictures> pictures) {
  if (!pictures || request.query.empty()) {
    return pictures;
  }
  for (auto& picture : *pictures) {
    if (picture) {
      picture = with_query(request, std::move(picture));
      if (!picture) {
        return fail(std::move(picture.error()));
      }
    }
  }
  return pictures;
}

Result<protocol::Pictures> only(Result<protocol::ClassifyRequest> picture) {
  if (!picture) {
    return fail(std::move(picture.error()));
  }
  protocol::Pictures pictures;
  pictures.emplace_back(std::move(picture));
  return pictures;
}

/// Whether a text body is JSON: by its Content-Type, or, if the type says nothing (curl -d always
/// sends "urlencoded"), by its first characters.
bool is_json(std::string_view body, std::string_view type) {
  if (protocol::is_json(type)) {
    return true;
  }
  const auto begin = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return protocol::may_be_json(type) && begin != std::string_view::npos && body[begin] == '{';
}

/// Detects the format by the content. The Content-Type is only used for forms, which need its
/// boundary.
Result<protocol::Pictures> read_pictures(Request& request) {
  const std::string_view header = request.header("content-type");
  const std::string type = protocol::media_type(header);
  if (request.body.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "the body is empty; send a picture: JPEG, PNG, WebP, GIF or AVIF");
  }
  if (!protocol::begins_binary(request.body)) {
    if (type.starts_with("multipart/")) {
      const auto boundary = protocol::media_parameter(header, "boundary");
      if (!boundary) {
        return fail(ErrorCode::kInvalidArgument,
                    "Content-Type " + type + " has no boundary parameter");
      }
      return protocol::classify_from_form(request.body, *boundary);
    }
    if (is_json(request.body, type)) {
      return only(protocol::parse_classify_image(request.body));
    }
  }
  protocol::ClassifyRequest picture;
  picture.image = std::move(request.body);
  return only(std::move(picture));
}

/// Answers with the result as written by `write`, or with the error.
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

/// Calls `call` with the parsed value, or refuses the request.
template <class Value, class Call>
void proceed(Service& service, Request& request, Reply& reply, Result<Value> value, Call call) {
  if (!value) {
    service.reject(request.context, value.error().code);
    return reply(error_response(value.error(), request.id));
  }
  call(std::move(*value));
}

void classify(Service& service, Request& request, Reply& reply,
              Result<protocol::ClassifyRequest> picture) {
  proceed(service, request, reply, std::move(picture), [&](protocol::ClassifyRequest wanted) {
    service.classify(std::move(wanted), request.context,
                     answer_with(request, std::move(reply), &protocol::write_classify));
  });
}

void predict_image(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, with_query(request, read_pictures(request)),
          [&](protocol::Pictures wanted) {
            if (wanted.size() > 1) {
              return classify_all(service, request, std::move(reply), std::move(wanted));
            }
            classify(service, request, reply, std::move(wanted.front()));
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
  classify(service, request, reply, read_json(request, &protocol::parse_classify_url));
}

void predict_single(Service& service, Request& request, Reply reply) {
  proceed(service, request, reply, read_json(request, &protocol::parse_features),
          [&](protocol::RowsRequest wanted) {
            service.predict(std::move(wanted), request.context,
                            answer_with(request, std::move(reply), &protocol::write_features));
          });
}

void predict_batch(Service& service, Request& request, Reply reply) {
  auto rows = read_json(request, &protocol::parse_instances);
  // Checked only if there are no rows, so that requests with rows do not pay for it.
  if (!rows && protocol::holds_several_pictures(request.body)) {
    return proceed(service, request, reply, read_json(request, &protocol::parse_classify_several),
                   [&](protocol::Pictures wanted) {
                     classify_all(service, request, std::move(reply), std::move(wanted));
                   });
  }
  proceed(service, request, reply, std::move(rows), [&](protocol::RowsRequest wanted) {
    service.predict(std::move(wanted), request.context,
                    answer_with(request, std::move(reply), &protocol::write_instances));
  });
}

/// Accepts a picture, a URL or a row, and answers like the endpoint for it.
void infer_any(Service& service, Request& request, Reply reply) {
  using Wanted = std::variant<protocol::ClassifyRequest, protocol::RowsRequest>;
  auto json = expect_json(request);
  if (const auto query = protocol::parse_query(request.query); json && !query) {
    json = fail(query.error());
  } else if (json && !query->empty()) {
    json = fail(ErrorCode::kInvalidArgument, "/v1/infer takes no query parameters");
  }
  Result<Wanted> wanted =
      json ? protocol::parse_infer(request.body) : Result<Wanted>(fail(std::move(json.error())));
  proceed(service, request, reply, std::move(wanted), [&](Wanted any) {
    if (auto* picture = std::get_if<protocol::ClassifyRequest>(&any)) {
      return classify(service, request, reply, std::move(*picture));
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

std::uint64_t largest_body(const ApiLimits& limits) {
  return std::max(limits.max_image_bytes, limits.max_json_bytes);
}

std::string limits_of_pictures(const ApiLimits& limits) {
  if (limits.max_image_bytes >= limits.max_json_bytes) {
    return "of a picture as it is (limits.max_body_bytes), " +
           std::to_string(limits.max_json_bytes) + " of JSON (limits.max_json_bytes)";
  }
  return "of JSON or a form (limits.max_json_bytes), " + std::to_string(limits.max_image_bytes) +
         " of a picture as it is (limits.max_body_bytes)";
}

void add_inference_routes(Router& router, Service& service, const ApiLimits& limits) {
  const auto post = [&](const char* path, std::uint64_t most, auto use) {
    router.add({.path = path,
                .post = [&service, use](Request& request,
                                        Reply reply) { use(service, request, std::move(reply)); },
                .max_body = most,
                .api = true,
                .limit_text = most == limits.max_json_bytes ? "(limits.max_json_bytes)" : ""});
  };
  router.add(
      {.path = "/predict",
       .post = [&service](Request& request,
                          Reply reply) { predict_image(service, request, std::move(reply)); },
       .max_body = largest_body(limits),
       .api = true,
       .limit_text = limits_of_pictures(limits)});
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
              .api = true,
              .limit_text = "(limits.max_json_bytes)"});
}

}  // namespace podsense::http
