#include "http/probe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "base/authorities.h"

namespace podsense::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = asio::ssl;
constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

struct Target {
  std::string host, port, path;
  bool tls = false;
  /// The host for a URL: an IPv6 address in brackets.
  [[nodiscard]] std::string in_url() const { return host.contains(':') ? "[" + host + "]" : host; }
};

Result<Target> parse(std::string_view url) {
  Target target{.tls = url.starts_with("https://")};
  if (!target.tls && !url.starts_with("http://")) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(url) + "' is no http://host[:port][/path] and no https://…");
  }
  url.remove_prefix(url.find("//") + 2);
  const auto slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  target.path = slash == url.size() ? "/" : std::string(url.substr(slash));
  const auto colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  target.port = has_port ? std::string(authority.substr(colon + 1)) : target.tls ? "443" : "80";
  authority = authority.substr(0, has_port ? colon : authority.size());
  if (authority.starts_with('[') && authority.ends_with(']')) {
    authority = authority.substr(1, authority.size() - 2);
  }
  target.host = authority;
  if (target.host.empty() || target.port.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the URL has no host or no port");
  }
  return target;
}

Result<void> prepare(ssl::context& context, const Target& target, const ProbeOptions& options) {
  const auto take = [](const std::string& file, const auto& load) -> Result<void> {
    if (!file.empty() && load(file.c_str()) != 1) {
      ERR_clear_error();
      return fail(ErrorCode::kInvalidArgument,
                  file + ": cannot be read, or holds no PEM of the kind that is needed");
    }
    return {};
  };
  SSL_CTX* const native = context.native_handle();
  auto done = take(options.ca_file, [native](const char* file) {
    return SSL_CTX_load_verify_locations(native, file, nullptr);
  });
  if (done) {
    done = take(options.certificate, [native](const char* file) {
      return SSL_CTX_use_certificate_chain_file(native, file);
    });
  }
  if (done) {
    done = take(options.key, [native](const char* file) {
      return SSL_CTX_use_PrivateKey_file(native, file, SSL_FILETYPE_PEM);
    });
  }
  beast::error_code error;
  if (options.ca_file.empty()) {
    context.set_default_verify_paths(error);
    if (const std::string bundle = authorities_elsewhere(); !bundle.empty()) {
      context.load_verify_file(bundle, error);
    }
  }
  context.set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none, error);
  if (options.verify) {
    context.set_verify_callback(ssl::host_name_verification(target.host), error);
  }
  return done;
}

tl::unexpected<Error> unavailable(std::string_view what, const beast::error_code& error) {
  return fail(ErrorCode::kUnavailable, std::string(what) + ": " + error.message());
}

template <class Stream>
asio::awaitable<Result<ProbeAnswer>> exchange(Stream* stream, Target target) {
  // Written by hand, because Beast's request serialiser uses features deprecated in C++23.
  const std::string request = "GET " + target.path + " HTTP/1.1\r\nHost: " + target.in_url() +
                              "\r\nConnection: close\r\n\r\n";
  const auto [unsent, sent] = co_await asio::async_write(*stream, asio::buffer(request), kToken);
  beast::flat_buffer buffer;
  beast::http::response<beast::http::string_body> response;
  const auto [unread, read] = co_await beast::http::async_read(*stream, buffer, response, kToken);
  if (unsent || unread) {
    co_return unavailable("no answer", unsent ? unsent : unread);
  }
  co_return ProbeAnswer{.status = static_cast<int>(response.result_int()),
                        .body = std::move(response.body())};
}

asio::awaitable<Result<ProbeAnswer>> exchange_tls(beast::tcp_stream* tcp, Target target,
                                                  ssl::context* context) {
  ssl::stream<beast::tcp_stream&> stream(*tcp, *context);
  SSL_set_tlsext_host_name(stream.native_handle(), target.host.c_str());
  const auto [failed] = co_await stream.async_handshake(ssl::stream_base::client, kToken);
  if (failed) {
    const long verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict != X509_V_OK) {
      co_return fail(ErrorCode::kUnavailable,
                     std::string("the server's certificate is not trusted: ") +
                         X509_verify_cert_error_string(verdict));
    }
    co_return unavailable("the TLS handshake failed", failed);
  }
  auto answer = co_await exchange(&stream, std::move(target));
  co_return answer;
}

asio::awaitable<void> ask(Target target, ProbeOptions options, ssl::context* context,
                          Result<ProbeAnswer>* answer) {
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  const auto [unresolved, places] =
      co_await resolver.async_resolve(target.host, target.port, kToken);
  if (unresolved) {
    *answer = unavailable("cannot resolve " + target.host, unresolved);
    co_return;
  }
  beast::tcp_stream stream(executor);
  stream.expires_after(options.timeout);
  const auto [unconnected, place] = co_await stream.async_connect(places, kToken);
  if (unconnected) {
    *answer = unavailable("cannot connect to " + target.in_url() + ":" + target.port, unconnected);
    co_return;
  }
  if (target.tls) {
    auto got = co_await exchange_tls(&stream, std::move(target), context);
    *answer = std::move(got);
  } else {
    auto got = co_await exchange(&stream, std::move(target));
    *answer = std::move(got);
  }
}

}  // namespace

Result<ProbeAnswer> probe(std::string_view url, const ProbeOptions& options) {
  auto target = parse(url);
  if (!target) {
    return fail(std::move(target.error()));
  }
  ssl::context tls(ssl::context::tls_client);
  if (auto prepared = prepare(tls, *target, options); !prepared) {
    return fail(std::move(prepared.error()));
  }
  Result<ProbeAnswer> answer = fail(ErrorCode::kUnavailable, "no answer in time");
  asio::io_context context;
  asio::co_spawn(context, ask(std::move(*target), options, &tls, &answer),
                 [](const std::exception_ptr&) {});
  context.run_for(options.timeout + std::chrono::milliseconds(100));
  return answer;
}

}  // namespace podsense::http
