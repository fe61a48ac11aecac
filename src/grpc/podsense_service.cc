#include "grpc/podsense_service.h"

#include <google/rpc/status.pb.h>
#include <podsense/v1/inference.pb.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/data_type.h"
#include "inference/model_facts.h"
#include "protocol/form.h"
#include "protocol/options.h"

namespace podsense::grpc {
namespace {

using inference::Service;

using Done = std::move_only_function<void(Result<void>)>;

void fill_timing(const protocol::Timing& from, v1::Timing& to) {
  // Three decimals, as in the HTTP API.
  const auto ms = [](Duration d) {
    return std::round(to_ms(std::max(d, Duration::zero())) * 1000) / 1000;
  };
  if (from.fetch) {
    to.set_fetch(ms(*from.fetch));
  }
  if (from.queue) {
    to.set_queue(ms(*from.queue));
  }
  if (from.preprocess) {
    to.set_preprocess(ms(*from.preprocess));
  }
  if (from.compute) {
    to.set_compute(ms(*from.compute));
  }
  to.set_total(ms(from.total));
}

void fill_head(const protocol::AnswerHead& head, const std::string& request_id,
               v1::InferResponse& response) {
  response.set_model(head.model.data(), head.model.size());
  response.set_version(head.version.data(), head.version.size());
  response.set_request_id(request_id);
  fill_timing(head.timing, *response.mutable_timing_ms());
}

void fill_classes(const protocol::ClassifyAnswer& answer, v1::InferResponse& response) {
  for (const protocol::ScoredClass& entry : answer.predictions) {
    v1::ScoredClass& scored = *response.add_predictions();
    scored.set_class_(entry.index);
    scored.set_label(entry.label.data(), entry.label.size());
    scored.set_score(entry.score);
    if (answer.picture) {
      v1::Box& box = *scored.mutable_box();
      box.set_x_min(entry.box.x_min);
      box.set_y_min(entry.box.y_min);
      box.set_x_max(entry.box.x_max);
      box.set_y_max(entry.box.y_max);
    }
  }
  if (answer.picture) {
    response.mutable_picture()->set_width(answer.picture->width);
    response.mutable_picture()->set_height(answer.picture->height);
  }
  if (answer.frames > 1) {
    response.set_frames(answer.frames);
  }
}

Result<void> fill_row(const protocol::RowsAnswer& answer, v1::InferResponse& response) {
  const protocol::RowAnswer& row = answer.rows.front();
  using Numbers = protocol::RowsAnswer::Numbers;
  if (answer.numbers == Numbers::kValues || answer.numbers == Numbers::kDoubles) {
    response.mutable_value()->Add(row.values.begin(), row.values.end());
    return {};
  }
  // Transcoders write 64-bit integers as JSON strings, so the field has 32 bits; the label has the
  // full number.
  if (row.prediction < std::numeric_limits<std::int32_t>::min() ||
      row.prediction > std::numeric_limits<std::int32_t>::max()) {
    return fail(ErrorCode::kUnimplemented,
                "class " + std::to_string(row.prediction) +
                    " has more than 32 bits; use inference.GRPCInferenceService");
  }
  response.set_prediction(static_cast<std::int32_t>(row.prediction));
  const std::string_view label = row.text_label ? std::string_view(*row.text_label) : row.label;
  response.set_label(label.empty() ? std::to_string(row.prediction) : std::string(label));
  auto& numbers = answer.numbers == Numbers::kScores ? *response.mutable_scores()
                                                     : *response.mutable_probabilities();
  numbers.Add(row.probabilities.begin(), row.probabilities.end());
  return {};
}

Result<protocol::ModelRef> read_model(const v1::InferRequest& request) {
  auto name = protocol::name_option("model", request.model());
  if (!name) {
    return fail(std::move(name.error()));
  }
  auto version = protocol::name_option("version", request.version());
  if (!version) {
    return fail(std::move(version.error()));
  }
  return protocol::ModelRef{.name = std::move(*name), .version = std::move(*version)};
}

Result<protocol::ClassifyRequest> read_picture(v1::InferRequest& request) {
  auto model = read_model(request);
  if (!model) {
    return fail(std::move(model.error()));
  }
  protocol::ClassifyRequest picture;
  picture.model = std::move(*model);
  picture.image = std::move(*request.mutable_image());
  picture.url = std::move(*request.mutable_image_url());
  if (request.has_top_k()) {
    if (request.top_k() == 0 || request.top_k() > protocol::kMaxTopK) {
      return protocol::invalid("top_k is " + std::to_string(request.top_k()) + "; " +
                               std::string(protocol::kTopKRule));
    }
    picture.top_k = request.top_k();
  }
  return picture;
}

Result<protocol::RowsRequest> read_row(const v1::InferRequest& request) {
  auto model = read_model(request);
  if (!model) {
    return fail(std::move(model.error()));
  }
  if (request.has_top_k()) {
    return protocol::invalid("top_k goes with image and image_url, not with features");
  }
  const auto& numbers = request.features();
  for (int i = 0; i < numbers.size(); ++i) {
    if (std::isinf(numbers[i])) {  // NaN: the value is missing
      return protocol::invalid(
          "features[" + std::to_string(i) +
          "] is infinite; it must be a finite number, or NaN where it is missing");
    }
  }
  return protocol::RowsRequest{.model = std::move(*model),
                               .values = {numbers.begin(), numbers.end()},
                               .rows = 1,
                               .columns = static_cast<std::size_t>(numbers.size())};
}

/// @errors kInvalidArgument: not exactly one input
Result<void> check_inputs(const v1::InferRequest& request) {
  const int inputs = (request.image().empty() ? 0 : 1) + (request.image_url().empty() ? 0 : 1) +
                     (request.features().empty() ? 0 : 1);
  if (inputs == 1) {
    return {};
  }
  return protocol::invalid(
      std::string(inputs == 0 ? "there is no input" : "there are several inputs") +
      "; send exactly one of image, image_url and features");
}

void classify(const Caller& caller, v1::InferRequest& request, v1::InferResponse& response,
              const inference::Context& context, Done done) {
  auto picture = read_picture(request);
  if (!picture) {
    caller.service().reject(context, picture.error().code);
    return done(fail(std::move(picture.error())));
  }
  caller.service().classify(std::move(*picture), context,
                            [&caller, &response, done = std::move(done)](
                                Result<protocol::ClassifyAnswer> answer) mutable {
                              if (!answer) {
                                return done(fail(std::move(answer.error())));
                              }
                              fill_head(*answer, caller.request_id(), response);
                              fill_classes(*answer, response);
                              done({});
                            });
}

void predict(const Caller& caller, const v1::InferRequest& request, v1::InferResponse& response,
             const inference::Context& context, Done done) {
  auto row = read_row(request);
  if (!row) {
    caller.service().reject(context, row.error().code);
    return done(fail(std::move(row.error())));
  }
  caller.service().predict(
      std::move(*row), context,
      [&caller, &response, done = std::move(done)](Result<protocol::RowsAnswer> answer) mutable {
        if (!answer) {
          return done(fail(std::move(answer.error())));
        }
        fill_head(*answer, caller.request_id(), response);
        done(fill_row(*answer, response));
      });
}

void infer(const Caller& caller, v1::InferRequest& request, v1::InferResponse& response,
           const inference::Context& context, Done done) {
  if (auto checked = check_inputs(request); !checked) {
    caller.service().reject(context, checked.error().code);
    return done(fail(std::move(checked.error())));
  }
  if (request.features().empty()) {
    return classify(caller, request, response, context, std::move(done));
  }
  predict(caller, request, response, context, std::move(done));
}

template <class Tensors>
void fill_tensors(const std::vector<inference::TensorFacts>& from, Tensors* to) {
  for (const inference::TensorFacts& info : from) {
    v1::Tensor& tensor = *to->Add();
    tensor.set_name(info.name);
    tensor.set_datatype(std::string(data_type_name(info.type)));
    for (const std::int64_t size : info.shape) {
      tensor.add_shape(static_cast<std::int32_t>(
          std::min<std::int64_t>(size, std::numeric_limits<std::int32_t>::max())));
    }
  }
}

void list_models(const inference::Catalog& catalog, v1::ListModelsResponse& response) {
  for (const inference::ModelStatus& status : catalog.status()) {
    v1::Model& model = *response.add_models();
    model.set_name(status.name);
    model.set_version(status.version);
    model.set_state(status.served ? "ready" : "failed");
    model.set_reason(status.reason);
    if (status.served) {
      const inference::ModelFacts facts = inference::facts_of(*status.served);
      model.set_task(facts.task);
      model.set_latest(status.latest);
      fill_tensors(facts.inputs, model.mutable_inputs());
      fill_tensors(facts.outputs, model.mutable_outputs());
    }
  }
}

void fill_health(const CallEnvironment& shared, v1::HealthResponse& response) {
  const inference::Catalog& catalog = shared.sources.service.catalog();
  const bool ready = !shared.sources.closed() && catalog.ready();
  const bool draining = shared.sources.draining();
  for (const std::string& problem : catalog.problems()) {
    response.add_problems(problem);
  }
  if (draining) {
    response.add_problems("shutting down");
  }
  response.set_status(!ready ? "unavailable" : response.problems().empty() ? "ok" : "degraded");
  response.set_ready(ready);
  response.set_draining(draining);
  response.set_version(shared.options.version);
}

}  // namespace

void add_podsense_service(Methods& methods, CallEnvironment& shared) {
  using Infer = UnaryCall<v1::InferRequest, v1::InferResponse>;
  methods.unary<v1::InferRequest, v1::InferResponse>(
      {.name = "/podsense.v1.InferenceService/Infer"}, [](Infer& call) {
        infer(call.caller(), call.request(), call.response(), call.context(),
              [&call](const Result<void>& result) { call.reply(result); });
      });
  using Stream = StreamCall<v1::InferRequest, v1::InferStreamResponse>;
  methods.stream<v1::InferRequest, v1::InferStreamResponse>(
      {.name = "/podsense.v1.InferenceService/InferStream"},
      {.handle =
           [](const Caller& caller, Stream::Item& item, Stream::Done done) {
             item.response.set_index(item.index);
             infer(caller, item.request, *item.response.mutable_response(), item.context,
                   std::move(done));
           },
       .tell =
           [](const Error& error, Stream::Item& item) {
             item.response.set_index(item.index);
             fill_status(error, *item.response.mutable_error());
           }});
  methods.answer<v1::HealthRequest, v1::HealthResponse>(
      {.name = "/podsense.v1.InferenceService/Health", .access = Access::kOpen},
      [&shared](const v1::HealthRequest& /*request*/, v1::HealthResponse& response) {
        fill_health(shared, response);
        return Result<void>();
      });
  methods.answer<v1::ListModelsRequest, v1::ListModelsResponse>(
      {.name = "/podsense.v1.InferenceService/ListModels"},
      [&shared](const v1::ListModelsRequest& /*request*/, v1::ListModelsResponse& response) {
        list_models(shared.sources.service.catalog(), response);
        return Result<void>();
      });
}

}  // namespace podsense::grpc
