#pragma once

/// What is kept of one HTTP answer: its status, where it leads, and the begin of a failed one's
/// body, so that reading costs no memory.

#include <algorithm>
#include <string>
#include <string_view>

namespace podsense::load {

class KeptAnswer {
 public:
  void keep_body(bool wanted) { body_wanted_ = wanted; }

  void set_status(int status) { status_ = status; }
  void set_location(std::string_view value) {
    if (status_ >= 300 && status_ < 400) {
      location_ = std::string(value.substr(0, kMostLocation));
      sample_ = "redirects to " + location_.substr(0, kSample) + " ";
    }
  }
  void add(std::string_view body) {
    if (body_wanted_ && body_.size() < kMostBody) {
      body_.append(body.substr(0, kMostBody - body_.size()));
    }
    if ((status_ < 200 || status_ >= 300) && sample_.size() < kSample) {
      sample_.append(body.substr(0, kSample - sample_.size()));
    }
  }

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool is_success() const { return status_ >= 200 && status_ < 300; }
  /// Of an answer outside 2xx: the first bytes of its body, or where it redirects to.
  [[nodiscard]] const std::string& sample() const { return sample_; }
  /// Of a 3xx answer; empty where it names none.
  [[nodiscard]] const std::string& location() const { return location_; }
  /// Of a 2xx answer, where it is wanted; cut at 16 MiB.
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  static constexpr std::size_t kSample = 300;
  static constexpr std::size_t kMostLocation = 8000;
  static constexpr std::size_t kMostBody = 16U << 20U;

  int status_ = 0;
  std::string sample_;
  std::string location_;
  bool body_wanted_ = false;
  std::string body_;
};

}  // namespace podsense::load
