#pragma once

/// Includes ONNX Runtime's header; use only this. Without manual initialisation every including
/// file would call the library before `main`, before telemetry is switched off.

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#include <onnxruntime_session_options_config_keys.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/model.h"

namespace podsense::onnx {

using model::Candidate;
using model::Engine;
using model::Manifest;
using model::Model;
using model::Outputs;
using model::Signature;
using model::TensorInfo;
using model::TensorView;

/// Shared by all sessions. Models hold a reference, so that it outlives them.
struct OrtContext {
  Ort::Env env;
  Ort::MemoryInfo memory;
};

/// The first line of ONNX Runtime's text, without its source paths, at most 200 bytes.
std::string short_reason(const char* ort_message);
/// Whether ONNX Runtime's message means out of memory; its error codes do not tell.
bool says_out_of_memory(std::string_view ort_message);

}  // namespace podsense::onnx
