#pragma once

/// Reads Triton's config.pbtxt: settings with a counterpart become part of the manifest; model.yaml
/// has priority over them. Private to this module.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/manifest.h"

namespace podsense::model {

inline constexpr std::string_view kTritonConfigFile = "config.pbtxt";
inline constexpr std::size_t kMaxTritonConfigBytes = 256U << 10U;

/// Supported: version_policy, max_batch_size, instance_group (count on CPUs), dynamic_batching
/// (max_queue_delay_microseconds), default_model_filename, output.label_filename, model_warmup (the
/// first), parameters (intra_op_thread_count). Everything else is listed in one remark.
/// @param folder the model's folder, with label files and `warmup/`
/// @errors kInvalidArgument: not protobuf's text format (with the line), or a value out of range
Result<Manifest> read_triton_config(std::string_view text, const std::filesystem::path& folder);

}  // namespace podsense::model
