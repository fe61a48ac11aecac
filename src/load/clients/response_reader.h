#pragma once

/// Reads one HTTP/1.1 response and keeps of it what a KeptAnswer does.

#include <boost/beast/http/basic_parser.hpp>
#include <string_view>

#include "load/clients/kept_answer.h"

namespace podsense::load {

class ResponseReader final : public boost::beast::http::basic_parser<false> {
 public:
  [[nodiscard]] const KeptAnswer& kept() const { return kept_; }
  [[nodiscard]] int status() const { return kept_.status(); }
  void keep_body(bool wanted) { kept_.keep_body(wanted); }

 private:
  using Code = boost::system::error_code;
  using View = boost::beast::string_view;

  static std::string_view text(View view) { return {view.data(), view.size()}; }

  void on_request_impl(boost::beast::http::verb /*method*/, View /*name*/, View /*target*/,
                       int /*version*/, Code& /*error*/) override {}
  void on_response_impl(int code, View /*reason*/, int /*version*/, Code& /*error*/) override {
    kept_.set_status(code);
  }
  void on_field_impl(boost::beast::http::field name, View /*text*/, View value,
                     Code& /*error*/) override {
    if (name == boost::beast::http::field::location) {
      kept_.set_location(text(value));
    }
  }
  void on_header_impl(Code& /*error*/) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                         Code& /*error*/) override {}
  std::size_t on_body_impl(View body, Code& /*error*/) override {
    kept_.add(text(body));
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, View /*extensions*/, Code& /*error*/) override {
  }
  std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, View body, Code& /*error*/) override {
    kept_.add(text(body));
    return body.size();
  }
  void on_finish_impl(Code& /*error*/) override {}

  KeptAnswer kept_;
};

}  // namespace podsense::load
