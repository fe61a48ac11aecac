#include "inference/service.h"

#include <utility>

#include "inference/loop_batch.h"
#include "inference/request_task.h"
#include "inference/tasks/cpu_time.h"
#include "inference/tasks/pictures.h"
#include "inference/tasks/rows.h"

namespace podsense::inference {
namespace {

/// The expected run time, from the profile.
Duration expected_run(const ServedModel& served, const RequestTask& task) {
  return served.service * static_cast<Duration::rep>(task.rows);
}

}  // namespace

Service::Service(ServiceOptions options, Catalog& catalog, fetch::Fetcher* fetcher,
                 metrics::Registry& registry, const Clock& clock)
    : options_(options), catalog_(catalog), fetcher_(fetcher), registry_(registry), clock_(clock) {}

template <class Answer>
void Service::refuse(const ServedModel* served, const Context& context, Error error,
                     Done<Answer>& done) {
  if (served != nullptr) {
    count_failed(*served, context, error.code, clock_.now());
    if (context.trace) {
      context.trace->set_model(served->name(), served->version);
    }
  } else {
    registry_.unrouted(context.protocol, error.code);
  }
  done(fail(std::move(error)));
}

void Service::run(const ServedModel& served, std::unique_ptr<RequestTask> request) {
  const Duration expected = expected_run(served, *request);
  const bool faulty = served.faults != nullptr && served.faults->hits(served.name());
  // In inline models only texts vary in size.
  const bool short_texts = request->size * request->rows <= kInlineTextBytes;
  if (served.plan == Plan::kInline && expected <= kInlineLimit && short_texts && !faulty) {
    if (LoopBatch* turn = request->context().turn.get(); turn != nullptr) {
      turn->offer(served, request);
    }
    if (request) {
      batching::TaskPtr alone = std::move(request);
      run_batch(served, clock_, {&alone, 1});
    }
    return;
  }
  batching::TaskPtr task = std::move(request);
  if (auto queued = served.queue->submit(task); !queued) {
    task->drop(std::move(queued.error()));
  }
}

void Service::classify(protocol::ClassifyRequest request, const Context& context,
                       Done<protocol::ClassifyAnswer> done) {
  auto found = catalog_.find(request.model, Form::kPicture);
  if (!found) {
    return refuse(nullptr, context, std::move(found.error()), done);
  }
  if (request.url.empty()) {
    return classify_bytes(*found, std::move(request), context, std::nullopt, std::move(done));
  }
  if (fetcher_ == nullptr) {
    return refuse(found->get(), context,
                  Error{.code = ErrorCode::kUnimplemented,
                        .message = "this server does not fetch URLs; send the image itself"},
                  done);
  }
  fetch::Request fetch{.url = std::move(request.url),
                       .deadline = context.deadline,
                       .traceparent = context.traceparent};
  const TimePoint begin = clock_.now();
  fetcher_->get(std::move(fetch),
                [this, begin, served = std::move(*found), request = std::move(request),
                 context = context, done = std::move(done)](Result<fetch::Response> got) mutable {
                  const Duration elapsed = clock_.now() - begin;
                  if (context.trace) {
                    context.trace->add("fetch", begin, begin + elapsed);
                  }
                  registry_.fetched(got ? "OK" : error_name(got.error().code), elapsed);
                  if (!got) {
                    return refuse(served.get(), context, std::move(got.error()), done);
                  }
                  request.image = std::move(got->body);
                  request.memory = std::move(got->memory);
                  classify_bytes(served, std::move(request), context, elapsed, std::move(done));
                });
}

void Service::classify_bytes(const std::shared_ptr<const ServedModel>& served,
                             protocol::ClassifyRequest request, const Context& context,
                             std::optional<Duration> fetched, Done<protocol::ClassifyAnswer> done) {
  // Invalid or too large pictures are refused before they take a place in the queue.
  if (auto info = image::inspect(std::as_bytes(std::span(request.image)), options_.image_limits);
      !info) {
    return refuse(served.get(), context, std::move(info.error()), done);
  }
  auto task = std::make_unique<PictureTask>(served, context, std::move(request), std::move(done));
  task->fetch = fetched;
  task->limits = options_.image_limits;
  if (served->sizes_vary) {
    task->size = static_cast<const PictureModel&>(*served->task).row_bytes();
  }
  run(*served, std::move(task));
}

void Service::predict(protocol::RowsRequest request, const Context& context,
                      Done<protocol::RowsAnswer> done) {
  auto found = catalog_.find(request.model, Form::kRows);
  if (!found) {
    return refuse(nullptr, context, std::move(found.error()), done);
  }
  auto& served = *found;
  const auto& rows = static_cast<const RowsModelBase&>(*served->task);
  auto inputs = rows.inputs().pack(request, served->name());
  if (!inputs) {
    return refuse(served.get(), context, std::move(inputs.error()), done);
  }
  auto task = std::make_unique<RowsTask>(served, context, std::move(request), std::move(done));
  task->inputs = std::move(*inputs);
  task->note_size();
  run(*served, std::move(task));
}

void Service::simulate(const protocol::SimulateRequest& request, const Context& context,
                       Done<protocol::SimulateAnswer> done) {
  auto found = catalog_.find(request.model, Form::kCpuTime);
  if (!found) {
    return refuse(nullptr, context, std::move(found.error()), done);
  }
  auto& served = *found;
  const Duration cpu = request.cpu ? *request.cpu
                                   : options_.simulated_cpu.value_or(
                                         served->model->known_run_time().value_or(served->service));
  run(*served, std::make_unique<CpuTimeTask>(served, context, cpu, std::move(done)));
}

void Service::infer(protocol::InferRequest request, const Context& context,
                    Done<protocol::InferAnswer> done) {
  auto found = catalog_.find(request.model);
  if (!found) {
    return refuse(nullptr, context, std::move(found.error()), done);
  }
  Context limited = context;
  if (request.timeout) {
    limited.deadline = std::min(context.deadline, Deadline::after(clock_.now(), *request.timeout));
  }
  const std::optional<Duration> timeout = request.timeout;
  auto task = make_task(*found, limited, std::move(request), done);
  if (!task) {
    return refuse(found->get(), context, std::move(task.error()), done);
  }
  if (timeout && (*found)->plan == Plan::kInline && *timeout < expected_run(**found, **task)) {
    // A queue would refuse this request, but inline runs have no queue.
    (*task)->drop({.code = ErrorCode::kDeadlineExceeded,
                   .message = "the work asked for takes longer than the deadline allows"});
    return;
  }
  run(**found, std::move(*task));
}

}  // namespace podsense::inference
