#include "http/pictures_api.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "protocol/error_mapping.h"
#include "protocol/json_codec.h"

namespace podsense::http {
namespace {

using inference::Service;
using transport::error_response;
using transport::json_response;
using transport::Reply;
using transport::Request;
using Answer = Result<protocol::ClassifyAnswer>;

/// Collects the answers, which may arrive on any thread; the last one sends the response.
class Results {
 public:
  Results(std::string id, Reply reply, std::size_t count)
      : id_(std::move(id)), reply_(std::move(reply)), slots_(count), left_(count) {}

  void take(std::size_t index, Answer answer) {
    Slot& slot = slots_[index];
    if (answer) {
      protocol::write_classify(slot.json, *answer, id_);
    } else {
      protocol::write_error(slot.json, answer.error(), id_);
      slot.error = std::move(answer.error());
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      finish();
    }
  }

 private:
  struct Slot {
    std::string json;
    std::optional<Error> error;
  };

  static bool servers_fault(const Slot& slot) {
    const int status = slot.error ? protocol::mapping(slot.error->code).http_status : 200;
    return status == 429 || status == 499 || status >= 500;
  }

  void finish() {
    if (std::ranges::all_of(slots_, servers_fault)) {
      return reply_(error_response(*slots_.front().error, id_));
    }
    std::size_t size = id_.size() + 64;
    for (const Slot& slot : slots_) {
      size += slot.json.size() + 1;
    }
    std::string body;
    body.reserve(size);
    body = R"({"results":[)";
    for (const Slot& slot : slots_) {
      body += slot.json;
      body += ',';
    }
    body.back() = ']';
    body += R"(,"request_id":)";
    append_json_string(body, id_);
    body += '}';
    reply_(json_response(std::move(body)));
  }

  const std::string id_;
  Reply reply_;
  std::vector<Slot> slots_;
  std::atomic<std::size_t> left_;
};

}  // namespace

void classify_all(inference::Service& service, transport::Request& request, transport::Reply reply,
                  protocol::Pictures pictures) {
  const auto results = std::make_shared<Results>(request.id, std::move(reply), pictures.size());
  // The request may be destroyed after the last answer.
  inference::Context context = request.context;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    auto& picture = pictures[i];
    if (picture) {
      service.classify(std::move(*picture), context,
                       [results, i](Answer answer) { results->take(i, std::move(answer)); });
    } else {
      service.reject(context, picture.error().code);
      results->take(i, tl::unexpected(std::move(picture.error())));
    }
    // Only the first picture is traced, because a trace does not allow concurrent writers.
    context.trace = nullptr;
  }
}

}  // namespace podsense::http
