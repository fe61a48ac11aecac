#pragma once

/// podsense.v1.InferenceService, proto/podsense/v1/inference.proto.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "grpc/call.h"

namespace podsense::grpc {

/// `shared` must outlive the service.
std::unique_ptr<::grpc::Service> make_podsense_service(Shared& shared);

}  // namespace podsense::grpc
