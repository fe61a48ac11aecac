#include "http/probe.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace podsense::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

struct Target {
  std::string host, port, path;
};

Result<Target> parse(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(url) + "' is no http://host[:port][/path]");
  }
  url.remove_prefix(kScheme.size());
  const auto slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  Target target{.path = slash == url.size() ? "/" : std::string(url.substr(slash))};
  const auto colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  target.port = has_port ? std::string(authority.substr(colon + 1)) : "80";
  authority = authority.substr(0, has_port ? colon : authority.size());
  if (authority.starts_with('[') && authority.ends_with(']')) {
    authority = authority.substr(1, authority.size() - 2);
  }
  target.host = authority;
  if (target.host.empty() || target.port.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the URL names no host or no port");
  }
  return target;
}

asio::awaitable<void> ask(Target target, Duration timeout, Result<ProbeAnswer>* answer) {
  const auto unavailable = [](std::string_view what, const beast::error_code& error) {
    return fail(ErrorCode::kUnavailable, std::string(what) + ": " + error.message());
  };
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  const auto [unresolved, places] =
      co_await resolver.async_resolve(target.host, target.port, kToken);
  if (unresolved) {
    *answer = unavailable("cannot resolve " + target.host, unresolved);
    co_return;
  }
  beast::tcp_stream stream(executor);
  stream.expires_after(timeout);
  const auto [unconnected, place] = co_await stream.async_connect(places, kToken);
  if (unconnected) {
    *answer = unavailable("cannot connect to " + target.host + ":" + target.port, unconnected);
    co_return;
  }
  beast::http::request<beast::http::empty_body> request(beast::http::verb::get, target.path, 11);
  request.set(beast::http::field::host, target.host);
  request.set(beast::http::field::connection, "close");
  const auto [unsent, sent] = co_await beast::http::async_write(stream, request, kToken);
  beast::flat_buffer buffer;
  beast::http::response<beast::http::string_body> response;
  const auto [unread, read] = co_await beast::http::async_read(stream, buffer, response, kToken);
  if (unsent || unread) {
    *answer = unavailable("no answer", unsent ? unsent : unread);
    co_return;
  }
  *answer = ProbeAnswer{.status = static_cast<int>(response.result_int()),
                        .body = std::move(response.body())};
}

}  // namespace

Result<ProbeAnswer> probe(std::string_view url, Duration timeout) {
  auto target = parse(url);
  if (!target) {
    return fail(std::move(target.error()));
  }
  Result<ProbeAnswer> answer = fail(ErrorCode::kUnavailable, "no answer in time");
  asio::io_context context;
  asio::co_spawn(context, ask(std::move(*target), timeout, &answer),
                 [](const std::exception_ptr&) {});
  context.run_for(timeout + std::chrono::milliseconds(100));
  return answer;
}

}  // namespace podsense::http
