#pragma once

/// The use cases, called by HTTP and gRPC: find the model version, create tensors, run or queue,
/// label the result. `done` is called exactly once: before the call returns if the model runs
/// inline or the request is refused; at the end of Context::turn if the turn took the request;
/// otherwise on an executor or fetch thread.
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
  std::optional<Duration> simulated_cpu;  ///< overrides the model's own value
};

class Service {
 public:
  /// `fetcher` null: URLs are refused with kUnimplemented.
  Service(ServiceOptions options, Catalog& catalog, fetch::Fetcher* fetcher,
          metrics::Registry& registry, const Clock& clock);

  /// Classifies an image, given as bytes or as a URL.
  /// @errors those of Catalog::find, image::to_tensor, fetch::Fetcher::get, Queue::submit
  void classify(protocol::ClassifyRequest request, const Context& context,
                Done<protocol::ClassifyAnswer> done);

  /// Predicts a class and its probabilities for each row of numbers.
  /// @errors kInvalidArgument: the number of columns differs from the model's features
  void predict(protocol::RowsRequest request, const Context& context,
               Done<protocol::RowsAnswer> done);

  /// Burns CPU time, in the same queue as any model.
  void simulate(const protocol::SimulateRequest& request, const Context& context,
                Done<protocol::SimulateAnswer> done);

  /// Runs tensors on any model with a file, also on models for pictures or rows. Inputs may come in
  /// any order. Requests to a batchable model may share runs.
  /// @errors kInvalidArgument: an unknown, missing or duplicate input or output, a type or shape
  /// that differs from the model's, or values that the model rejects; kUnimplemented: a simulated
  /// model; those of Catalog::find, Queue::submit
  void infer(protocol::InferRequest request, const Context& context,
             Done<protocol::InferAnswer> done);

  /// Counts a request that could not be parsed and so reached no model.
  void reject(const Context& context, ErrorCode code) {
    registry_.unrouted(context.protocol, code);
  }

  [[nodiscard]] Catalog& catalog() { return catalog_; }

 private:
  void classify_bytes(const std::shared_ptr<const ServedModel>& served,
                      protocol::ClassifyRequest request, const Context& context,
                      std::optional<Duration> fetched, Done<protocol::ClassifyAnswer> done);
  /// Runs the task inline or adds it to the queue; answers it if it is refused.
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
