#pragma once

/// The use cases: what HTTP and gRPC alike call. Find the model version, make tensors, run or
/// queue, label the result. An answer comes once, through `done`: before the call returns when the
/// model runs inline or the request is refused; when Context::turn ends, if that took it; else on
/// an executor or fetch thread.
/// @threads thread-safe; calls never block for longer than an inline run

#include <cstdint>
#include <optional>

#include "fetch/fetch.h"
#include "image/image.h"
#include "inference/catalog.h"
#include "inference/context.h"
#include "protocol/messages.h"
#include "protocol/tensor.h"

namespace podsense::inference {

class RequestTask;

struct ServiceOptions {
  image::Limits image_limits;
  std::optional<Duration> simulated_cpu;  ///< instead of what the model says of itself
};

class Service {
 public:
  /// `fetcher` may be null: URLs are then refused with kUnimplemented.
  Service(ServiceOptions options, Catalog& catalog, fetch::Fetcher* fetcher,
          metrics::Registry& registry, const Clock& clock);

  /// An image, or the image behind a URL → its most likely classes.
  /// @errors those of Catalog::find, image::to_tensor, fetch::Fetcher::get, Queue::submit
  void classify(protocol::ClassifyRequest request, const Context& context,
                Done<protocol::ClassifyAnswer> done);

  /// Rows of numbers → class and probabilities each.
  /// @errors kInvalidArgument: the number of columns differs from the model's features
  void predict(protocol::RowsRequest request, const Context& context,
               Done<protocol::RowsAnswer> done);

  /// Burns CPU time through the same queue as any model.
  void simulate(const protocol::SimulateRequest& request, const Context& context,
                Done<protocol::SimulateAnswer> done);

  /// Tensors in, tensors out, of any model with an ONNX file; those of pictures and rows too.
  /// Inputs may come in any order; a batchable model runs the rows of several requests together.
  /// @errors kInvalidArgument: an unknown, missing or doubled input or output, a type or shape that
  ///         differs from the model's, or values that the model cannot take; kUnimplemented: a
  ///         simulated model; those of Catalog::find, Queue::submit
  void infer(protocol::InferRequest request, const Context& context,
             Done<protocol::InferAnswer> done);

  /// Counts a request that could not be read, so that it reached no model.
  void reject(const Context& context, ErrorCode code) {
    registry_.unrouted(context.protocol, code);
  }

  [[nodiscard]] Catalog& catalog() { return catalog_; }

 private:
  void classify_bytes(const std::shared_ptr<const ServedModel>& served,
                      protocol::ClassifyRequest request, const Context& context,
                      std::optional<Duration> fetched, Done<protocol::ClassifyAnswer> done);
  /// Inline, or into the queue; a refused task is answered.
  /// @requires the task, or the caller, keeps `served` alive
  void run(const ServedModel& served, std::unique_ptr<RequestTask> task);
  template <class Answer>
  void refuse(const ServedModel* served, const Context& context, Error error, Done<Answer>& done);

  const ServiceOptions options_;
  Catalog& catalog_;
  fetch::Fetcher* const fetcher_;
  metrics::Registry& registry_;
  const Clock& clock_;
};

}  // namespace podsense::inference
