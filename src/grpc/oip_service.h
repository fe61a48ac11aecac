#pragma once

/// inference.GRPCInferenceService: the Open Inference Protocol, proto/inference/grpc_service.proto.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "grpc/call.h"

namespace podsense::grpc {

/// `shared` must outlive the service, and no call may be under way when it is destroyed.
std::unique_ptr<::grpc::Service> make_oip_service(Shared& shared);

}  // namespace podsense::grpc
