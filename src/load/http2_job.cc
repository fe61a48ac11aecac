#include "load/http2_job.h"

#include <algorithm>

#include "load/clients/http2_once.h"
#include "load/clients/http2_requests.h"
#include "load/tls_files.h"

namespace podsense::load {
namespace {

constexpr unsigned kStreams = 100;  ///< what most servers let a connection have

}  // namespace

void add_http2(Http2TransportOptions transport, const LoadOptions& options, Job& job) {
  const RunPlan& plan = job.plan;
  const bool open_loop = plan.shape != nullptr;
  transport.streams = options.streams > 0 ? options.streams : open_loop ? kStreams : 1;
  transport.keep_alive = options.keep_alive;
  Circumstances& how = job.circumstances;
  Connections all{.first = how.connections, .most = how.max_connections};
  if (open_loop) {
    // A connection carries many requests; a few spread them over a server's threads.
    all.first = std::min(all.most, options.connections.value_or(std::max(4U, plan.threads)));
  }
  how.connections = open_loop ? all.first : plan.workers;
  job.make.emplace_back([shared = std::move(transport), all, open_loop, threads = plan.threads,
                         workers = plan.workers, next = 0U,
                         opened = 0U](boost::asio::io_context& context, Sink& sink) mutable {
    Http2TransportOptions mine = shared;
    const unsigned part = next++ % threads;
    const Connections share = part_of(all, part, threads);
    mine.connections = share.first;
    mine.max_connections = share.most;
    if (!open_loop) {
      // Where the server allows fewer streams than are wanted, more connections take the rest.
      const unsigned own_workers = workers / threads + (part < workers % threads ? 1 : 0);
      mine.connections = (own_workers + mine.streams - 1) / mine.streams;
      mine.max_connections = std::max(1U, own_workers);
    }
    // After those of the parts before: so all together take addresses in turn.
    opened = part == 0 ? 0 : opened;
    mine.first_endpoint = opened;
    opened += mine.connections;
    return Http2Transport::create(mine, context, sink);
  });
}

Result<void> add_http2(const HttpTransportOptions& http, const LoadOptions& options, Job& job) {
  auto requests = Http2Requests::create(
      {.request = http.request, .expect = http.expect, .redirects = http.redirects});
  if (!requests) {
    return fail(std::move(requests.error()));
  }
  job.circumstances.protocol = "http/2";
  add_http2({.messages = std::move(*requests),
             .endpoints = http.endpoints,
             .host = name_in_tls(http.request),
             .with_tls = http.request.url.tls,
             .tls = http.tls,
             .timeout = http.timeout},
            options, job);
  return {};
}

Result<Document> get_over_http2(const LoadOptions& options, const std::string& address) {
  auto url = parse_url(address);
  if (!url) {
    return fail(std::move(url.error()));
  }
  auto endpoints = own_endpoints(options, *url);
  if (!endpoints) {
    return fail(std::move(endpoints.error()));
  }
  auto tls = read_client_tls(options);
  if (!tls) {
    return fail(std::move(tls.error()));
  }
  const HttpRequestOptions request{.url = *url, .target = {}, .headers = options.headers};
  const auto body = std::make_shared<std::string>();
  auto messages = Http2Requests::create({.request = request, .kept = body});
  if (!messages) {
    return fail(std::move(messages.error()));
  }
  const auto answer = ask_once({.messages = std::move(*messages),
                                .endpoints = std::move(*endpoints),
                                .host = name_in_tls(request),
                                .with_tls = url->tls,
                                .tls = std::move(*tls),
                                .timeout = options.timeout},
                               options.wait_for_target);
  if (!answer || answer->status == 0) {
    return fail(ErrorCode::kUnavailable, answer ? answer->sample : answer.error().message);
  }
  return Document{.status = answer->status, .body = *body};
}

}  // namespace podsense::load
