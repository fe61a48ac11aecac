#include "base/text.h"
#include "protocol/oip_codec.h"
#include "protocol/oip_data.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

void append_shape(std::string& out, std::span<const std::int64_t> shape) {
  out += '[';
  for (const std::int64_t dimension : shape) {
    if (out.back() != '[') {
      out += ',';
    }
    append_json_number(out, dimension);
  }
  out += ']';
}

bool is_binary(const InferAnswer& answer, const OutputTensor& output) {
  return output.binary_data.value_or(answer.binary_data_output);
}

Result<void> append_output(OipAnswerBody& body, const OutputTensor& output, bool binary) {
  std::string& out = body.json;
  out += R"({"name":)";
  append_json_string(out, output.name);
  out += R"(,"datatype":")";
  out += data_type_name(output.type);
  out += R"(","shape":)";
  append_shape(out, output.shape);
  if (binary) {
    out += R"(,"parameters":{"binary_data_size":)";
    append_json_number(out, output.data.size());
    out += "}}";
    body.binary.push_back(output.data);
    return {};
  }
  out += R"(,"data":)";
  if (auto written = write_json_data(out, output.type, output.data); !written) {
    return invalid("the output '" + std::string(output.name) + "': " + written.error().message);
  }
  out += '}';
  return {};
}

}  // namespace

Result<OipAnswerBody> write_oip_answer(const InferAnswer& answer) {
  OipAnswerBody body;
  std::string& out = body.json;
  constexpr std::size_t kUsual = 512;
  out.reserve(kUsual);
  out += R"({"model_name":)";
  append_json_string(out, answer.model);
  out += R"(,"model_version":)";
  append_json_string(out, answer.version);
  if (!answer.id.empty()) {
    out += R"(,"id":)";
    append_json_string(out, answer.id);
  }
  out += R"(,"outputs":[)";
  for (const OutputTensor& output : answer.outputs) {
    if (out.back() != '[') {
      out += ',';
    }
    if (auto added = append_output(body, output, is_binary(answer, output)); !added) {
      return fail(std::move(added.error()));
    }
  }
  out += "]}";
  if (!body.binary.empty()) {
    body.json_size = out.size();
  }
  return body;
}

void write_oip_error(std::string& out, std::string_view message) {
  out += R"({"error":)";
  append_json_string(out, message);
  out += '}';
}

}  // namespace podsense::protocol
