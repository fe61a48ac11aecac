#pragma once

/// Reads one HTTP response and keeps only its status and the begin of a failed answer's body, so
/// that reading costs no memory.

#include <boost/beast/http/basic_parser.hpp>
#include <string>

namespace podsense::load {

class ResponseReader final : public boost::beast::http::basic_parser<false> {
 public:
  [[nodiscard]] int status() const { return status_; }
  /// Of an answer outside 2xx: the first bytes of its body, or where it redirects to.
  [[nodiscard]] const std::string& sample() const { return sample_; }
  /// Of a 3xx answer; empty where it names none.
  [[nodiscard]] const std::string& location() const { return location_; }
  void keep_body(bool wanted) { body_wanted_ = wanted; }
  /// Of a 2xx answer, where it is wanted; cut at 16 MiB.
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  using Code = boost::system::error_code;
  using View = boost::beast::string_view;
  static constexpr std::size_t kSample = 300;
  static constexpr std::size_t kMostLocation = 8000;
  static constexpr std::size_t kMostBody = 16U << 20U;

  void keep(View body) {
    if (body_wanted_ && body_.size() < kMostBody) {
      body_.append(body.data(), std::min(body.size(), kMostBody - body_.size()));
    }
    if ((status_ < 200 || status_ >= 300) && sample_.size() < kSample) {
      sample_.append(body.data(), std::min(body.size(), kSample - sample_.size()));
    }
  }

  void on_request_impl(boost::beast::http::verb /*method*/, View /*name*/, View /*target*/,
                       int /*version*/, Code& /*error*/) override {}
  void on_response_impl(int code, View /*reason*/, int /*version*/, Code& /*error*/) override {
    status_ = code;
  }
  void on_field_impl(boost::beast::http::field name, View /*text*/, View value,
                     Code& /*error*/) override {
    if (name == boost::beast::http::field::location && status_ >= 300 && status_ < 400) {
      location_ = std::string(value.substr(0, kMostLocation));
      sample_ = "redirects to " + location_.substr(0, kSample) + " ";
    }
  }
  void on_header_impl(Code& /*error*/) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                         Code& /*error*/) override {}
  std::size_t on_body_impl(View body, Code& /*error*/) override {
    keep(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, View /*extensions*/, Code& /*error*/) override {
  }
  std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, View body, Code& /*error*/) override {
    keep(body);
    return body.size();
  }
  void on_finish_impl(Code& /*error*/) override {}

  int status_ = 0;
  std::string sample_;
  std::string location_;
  bool body_wanted_ = false;
  std::string body_;
};

}  // namespace podsense::load
