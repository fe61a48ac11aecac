#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "base/temp_folder_testing.h"
#include "fetch/curl_fetcher.h"
#include "fetch/fetch.h"
#include "fetch/test_server.h"

namespace podsense::fetch {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

struct Identity {
  Key key;
  Certificate certificate;
};

void add_extension(X509* certificate, int id, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value);
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// `issuer` null: an authority that signs itself. `names`: "DNS:a.example,IP:127.0.0.1"
Identity make_identity(const std::string& name, const Identity* issuer, const char* names) {
  Identity made{.key = Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")),
                .certificate = Certificate(X509_new())};
  X509* const x509 = made.certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(issuer ? issuer->certificate.get() : x509));
  if (issuer == nullptr) {
    add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, NID_key_usage, "critical,keyCertSign");
  } else {
    add_extension(x509, NID_subject_alt_name, names);
  }
  X509_sign(x509, issuer ? issuer->key.get() : made.key.get(), EVP_sha256());
  return made;
}

/// Terminates TLS in front of TestServer's plain words.
TestServer::Wrapper tls_wrapper(const Identity& identity, int max_version) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), identity.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
  SSL_CTX_set_security_level(context.get(), 0);  // else OpenSSL itself would refuse TLS 1.1
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), max_version);
  return [context](int fd, const std::function<void(TestServer::Stream&)>& talk) {
    const std::unique_ptr<SSL, Deleter<SSL_free>> ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) {
      return;
    }
    TestServer::Stream stream{.read = [&ssl](char* to, std::size_t size) -> long {
                                return SSL_read(ssl.get(), to, static_cast<int>(size));
                              },
                              .write =
                                  [&ssl](std::string_view bytes) {
                                    return SSL_write(ssl.get(), bytes.data(),
                                                     static_cast<int>(bytes.size())) > 0;
                                  }};
    talk(stream);
    SSL_shutdown(ssl.get());
  };
}

class FetcherTls : public testing::Test {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }  // the server's SSL_write

  std::string save(const Identity& identity, const std::string& name) {
    std::string path = (folder_ / name).string();
    const std::unique_ptr<std::FILE, Deleter<std::fclose>> file(std::fopen(path.c_str(), "w"));
    PEM_write_X509(file.get(), identity.certificate.get());
    return path;
  }

  static bool ok(TestServer::Exchange& exchange) {
    exchange.reply("200 OK", "", "secret picture");
    return true;
  }

  static Result<Response> fetch(const TestServer& server, const std::string& ca_file,
                                const std::string& host) {
    Options options;
    options.ports = {server.port()};
    options.allow_cidrs = {"127.0.0.1/32"};
    options.ca_file = ca_file;
    const auto fetcher =
        create_fetcher(options, [](const CheckedUrl& url) {
          return std::vector{url.host + ":" + std::to_string(url.port) + ":127.0.0.1"};
        }).value();
    std::promise<Result<Response>> promise;
    fetcher->get({.url = "https://" + host + ":" + std::to_string(server.port()) + "/",
                  .deadline = {},
                  .traceparent = {}},
                 [&](Result<Response> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  static void expect_gateway(const Result<Response>& result, std::string_view message) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kBadGateway);
    EXPECT_EQ(result.error().message, message) << result.error().detail;
  }

  const TempFolder folder_;
  const Identity authority_ = make_identity("test authority", nullptr, nullptr);
  const Identity other_ = make_identity("another authority", nullptr, nullptr);
  const Identity host_ =
      make_identity("images.example.com", &authority_, "DNS:images.example.com,IP:127.0.0.1");
};

constexpr std::string_view kUnverified = "the host's certificate could not be verified";

TEST_F(FetcherTls, TrustsTheAuthorityOfItsFile) {
  TestServer server(ok, tls_wrapper(host_, TLS1_3_VERSION));
  const std::string file = save(authority_, "ca.pem");
  for (const char* host : {"images.example.com", "127.0.0.1"}) {
    const auto result = fetch(server, file, host);
    ASSERT_TRUE(result) << result.error().message << result.error().detail;
    EXPECT_EQ(result->body, "secret picture");
  }
}

TEST_F(FetcherTls, TrustsTheAuthorityOfSslCertFileAsOpensslDoes) {
  TestServer server(ok, tls_wrapper(host_, TLS1_3_VERSION));
  ::setenv("SSL_CERT_FILE", save(authority_, "env.pem").c_str(), 1);
  const auto result = fetch(server, "", "images.example.com");
  const auto refused = fetch(server, save(other_, "ca.pem"), "images.example.com");
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_TRUE(result) << result.error().message << result.error().detail;
  expect_gateway(refused, kUnverified);  // the setting is stronger
}

TEST_F(FetcherTls, RefusesAnotherAuthority) {
  TestServer server(ok, tls_wrapper(host_, TLS1_3_VERSION));
  expect_gateway(fetch(server, save(other_, "ca.pem"), "images.example.com"), kUnverified);
  expect_gateway(fetch(server, "", "images.example.com"), kUnverified);  // the system's
  EXPECT_TRUE(server.heads().empty());
}

TEST_F(FetcherTls, RefusesACertificateForAnotherHost) {
  TestServer server(ok, tls_wrapper(host_, TLS1_3_VERSION));
  const std::string file = save(authority_, "ca.pem");
  expect_gateway(fetch(server, file, "other.example.com"), kUnverified);
  expect_gateway(fetch(server, file, "a.images.example.com"), kUnverified);
  EXPECT_TRUE(server.heads().empty());
}

TEST_F(FetcherTls, RefusesACertificateThatSignsItself) {
  TestServer server(ok, tls_wrapper(authority_, TLS1_3_VERSION));
  expect_gateway(fetch(server, save(other_, "ca.pem"), "images.example.com"), kUnverified);
}

TEST_F(FetcherTls, SpeaksTls12AndNothingOlder) {
  const std::string file = save(authority_, "ca.pem");
  TestServer good(ok, tls_wrapper(host_, TLS1_2_VERSION));
  EXPECT_TRUE(fetch(good, file, "images.example.com"));
  TestServer old(ok, tls_wrapper(host_, TLS1_1_VERSION));
  expect_gateway(fetch(old, file, "images.example.com"), "the TLS handshake with the host failed");
}

TEST_F(FetcherTls, DoesNotFallBackToPlainText) {
  TestServer plain(ok, [](int fd, const auto&) {
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    char byte = 0;
    recv(fd, &byte, 1, 0);
    send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  });
  expect_gateway(fetch(plain, save(authority_, "ca.pem"), "images.example.com"),
                 "the TLS handshake with the host failed");
}

TEST_F(FetcherTls, AnUnreadableAuthorityFileIsAnOptionFault) {
  Options options;
  options.ca_file = (folder_ / "absent.pem").string();
  const auto result = Fetcher::create(options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "ca_file: cannot be read");
}

}  // namespace
}  // namespace podsense::fetch
