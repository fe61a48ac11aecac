#pragma once

/// Messages of the Open Inference Protocol that describe the server and its models.

#include "base/error.h"
#include "grpc/call.h"
#include "protocol/messages.h"

namespace inference {
class ModelConfig;
class ModelMetadataResponse;
class ModelStatisticsResponse;
class RepositoryIndexResponse;
class ServerMetadataResponse;
}  // namespace inference

namespace podsense::grpc {

/// @errors kInvalidArgument: missing or invalid name
Result<protocol::ModelRef> model_ref(const std::string& name, const std::string& version);

void fill_server(const GrpcOptions& options, ::inference::ServerMetadataResponse& message);
/// @errors those of Catalog::find, also for the next two functions
Result<void> fill_metadata(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                           ::inference::ModelMetadataResponse& message);
Result<void> fill_config(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                         ::inference::ModelConfig& message);
/// An empty name means all serving models.
Result<void> fill_statistics(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                             ::inference::ModelStatisticsResponse& message);
void fill_index(const inference::Catalog& catalog, bool only_ready,
                ::inference::RepositoryIndexResponse& message);

}  // namespace podsense::grpc
