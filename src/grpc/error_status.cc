#include "grpc/error_status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <algorithm>

#include "protocol/error_mapping.h"

namespace podsense::grpc {

using std::chrono::milliseconds;

std::optional<milliseconds> retry_delay(const Error& error) {
  const protocol::Retry retry = protocol::mapping(error.code).retry;
  if (retry != protocol::Retry::kAfterWait && retry != protocol::Retry::kElsewhere) {
    return std::nullopt;
  }
  // As for HTTP's Retry-After, an unknown wait is one second.
  return error.retry_after > milliseconds::zero() ? error.retry_after : milliseconds(1000);
}

void fill_status(const Error& error, google::rpc::Status& status) {
  const protocol::ErrorMapping& row = protocol::mapping(error.code);
  status.set_code(static_cast<int>(row.grpc));
  status.set_message(error.message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(row.name()));
  info.set_domain("podsense");
  status.add_details()->PackFrom(info);
  if (const auto delay = retry_delay(error)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(delay->count() / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(delay->count() % 1000) * 1'000'000);
    status.add_details()->PackFrom(retry);
  }
}

}  // namespace podsense::grpc
