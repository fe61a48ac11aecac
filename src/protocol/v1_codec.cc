#include "protocol/v1_codec.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/text.h"
#include "protocol/form.h"
#include "protocol/json_syntax.h"
#include "protocol/oip_data.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::string_view kExample = R"({"instances": [[0.5, 1], [2, 3]]})";

/// Splits a JSON array or object, already validated by simdjson, at its top-level commas. Calls
/// `each` with the text of each part; false stops.
template <class Each>
void for_each_part(std::string_view json, Each each) {
  int depth = 0;
  bool in_text = false;
  std::size_t begin = 1;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      i += c == '\\' ? 1 : 0;
      in_text = c != '"';
      continue;
    }
    in_text = c == '"';
    depth += c == '[' || c == '{' ? 1 : 0;
    depth -= c == ']' || c == '}' ? 1 : 0;
    const bool ends = (c == ',' && depth == 1) || depth == 0;
    if (!ends || i == 0) {
      continue;
    }
    const std::string_view part = ascii::trim(json.substr(begin, i - begin));
    if (part.empty() || !each(part) || depth == 0) {
      return;
    }
    begin = i + 1;
  }
}

/// Splits a member of an object. Names are compared without decoding escapes.
std::pair<std::string_view, std::string_view> name_and_value(std::string_view member) {
  std::size_t quote = 1;
  while (quote < member.size() && member[quote] != '"') {
    quote += member[quote] == '\\' ? 2 : 1;
  }
  const std::size_t colon = std::min(member.find(':', quote), member.size() - 1);
  return {member.substr(1, quote - 1), ascii::trim(member.substr(colon + 1))};
}

/// The shape of a nested list, along its first elements; empty for a value.
std::vector<std::int64_t> nested_shape(std::string_view value) {
  std::vector<std::int64_t> shape;
  while (value.starts_with('[')) {
    std::int64_t length = 0;
    std::string_view first;
    for_each_part(value, [&](std::string_view part) {
      first = length++ == 0 ? part : first;
      return true;
    });
    shape.push_back(length);
    value = first;
  }
  return shape;
}

/// One input's values, with one entry per instance.
struct Column {
  std::string data = "[";
  std::size_t count = 0;
  std::vector<std::int64_t> shape{};  ///< of an instance

  void add(std::string_view value) {
    if (count == 0) {
      shape = nested_shape(value);
    }
    data += count++ == 0 ? "" : ",";
    data += value;
  }
};

void append_input(std::string& out, const TensorMetadata& input, Column column) {
  std::vector<std::int64_t> shape{static_cast<std::int64_t>(column.count)};
  shape.insert(shape.end(), column.shape.begin(), column.shape.end());
  if (shape.size() + 1 == input.shape.size()) {
    shape.push_back(1);  // one value per instance is a column
  }
  out += out.back() == '[' ? R"({"name":)" : R"(,{"name":)";
  append_json_string(out, input.name);
  out += R"(,"datatype":")";
  out += data_type_name(input.type);
  out += R"(","shape":[)";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += i == 0 ? "" : ",";
    append_json_number(out, shape[i]);
  }
  out += R"(],"data":)";
  out += column.data;
  out += "]}";
}

std::string names_of(std::span<const TensorMetadata> inputs) {
  std::string names;
  for (const TensorMetadata& input : inputs) {
    names += (names.empty() ? "" : ", ") + std::string(input.name);
  }
  return names;
}

/// Appends the members of one instance to the columns of their inputs.
Result<void> add_object(std::string_view object, std::size_t index,
                        std::span<const TensorMetadata> inputs, std::vector<Column>& columns) {
  const std::string where = "instances[" + std::to_string(index) + "]";
  Result<void> done;
  for_each_part(object, [&](std::string_view member) {
    const auto [name, value] = name_and_value(member);
    const auto at = std::ranges::find(inputs, std::string_view(name), &TensorMetadata::name);
    if (at == inputs.end() ||
        columns[static_cast<std::size_t>(at - inputs.begin())].count > index) {
      done = invalid(where + (at == inputs.end() ? " has no place for '" : " has twice '") +
                     std::string(name.substr(0, 64)) + "'; inputs: " + names_of(inputs));
      return false;
    }
    columns[static_cast<std::size_t>(at - inputs.begin())].add(value);
    return true;
  });
  for (std::size_t i = 0; done && i < inputs.size(); ++i) {
    if (columns[i].count <= index) {
      done = invalid(where + " has no '" + std::string(inputs[i].name) +
                     "'; inputs: " + names_of(inputs));
    }
  }
  return done;
}

/// The bytes of `{"b64": "…"}`; empty: the instance is something else.
Result<std::string> read_picture(std::string_view instance) {
  std::string encoded;
  if (instance.starts_with('{')) {
    for_each_part(instance, [&](std::string_view member) {
      const auto [name, value] = name_and_value(member);
      const bool only = encoded.empty() && name == "b64" && value.starts_with('"');
      encoded = only ? std::string(value.substr(1, value.size() - 2)) : "";
      return only;
    });
  }
  std::erase(encoded, '\\');  // some clients write "\/" for a slash
  return encoded.empty() ? std::string() : decode_base64_field("instances[0].b64", encoded, 0);
}

/// Writes a value, or a list if there are several.
void append_values(std::string& out, const RowAnswer& row, bool as_float) {
  const bool several = row.values.size() != 1;
  out += several ? "[" : "";
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    out += i == 0 ? "" : ",";
    if (as_float) {
      append_json_number(out, static_cast<float>(row.values[i]));
    } else {
      append_json_number(out, row.values[i]);
    }
  }
  out += several ? "]" : "";
}

/// The end offset of each row of an output's data.
std::vector<std::size_t> row_ends(const OutputTensor& output, std::size_t rows) {
  std::vector<std::size_t> ends;
  if (output.type != DataType::kBytes) {
    for (std::size_t row = 1; row <= rows; ++row) {
      ends.push_back(output.data.size() / rows * row);
    }
    return ends;
  }
  std::size_t texts = 1;
  for (std::size_t i = 1; i < output.shape.size(); ++i) {
    texts *= static_cast<std::size_t>(output.shape[i]);
  }
  std::size_t seen = 0;
  std::size_t at = 0;
  for_each_text(output.data, [&](std::string_view text) {
    at += 4 + text.size();
    if (++seen == texts) {
      seen = 0;
      ends.push_back(at);
    }
  });
  ends.resize(rows, at);
  return ends;
}

/// Writes nested lists of this shape, or a value if it is empty.
// NOLINTNEXTLINE(misc-no-recursion): as deep as a tensor has dimensions
Result<void> append_nested(std::string& out, DataType type, std::span<const std::byte> data,
                           std::span<const std::int64_t> shape) {
  if (shape.size() == 1) {
    return write_json_data(out, type, data);
  }
  if (shape.empty()) {
    std::string one;
    auto written = write_json_data(one, type, data);
    out += written ? std::string_view(one).substr(1, one.size() - 2) : "";
    return written;
  }
  const OutputTensor part{.name = {},
                          .type = type,
                          .shape = {shape.begin(), shape.end()},
                          .data = data,
                          .binary_data = {}};
  std::size_t begin = 0;
  out += '[';
  for (const std::size_t end : row_ends(part, static_cast<std::size_t>(shape[0]))) {
    out += begin == 0 && out.back() == '[' ? "" : ",";
    if (auto done = append_nested(out, type, data.subspan(begin, end - begin), shape.subspan(1));
        !done) {
      return done;
    }
    begin = end;
  }
  out += ']';
  return {};
}

}  // namespace

Result<Instances> read_instances(std::string_view json) {
  json = without_byte_order_mark(json);
  const std::string_view body = ascii::trim(json);
  // The code below splits the text and relies on valid JSON.
  if (auto fault = json_fault(json)) {
    return invalid(std::move(fault->message));
  }
  if (!body.starts_with('{')) {
    return invalid("the body is not a JSON object; it must be one such as " +
                   std::string(kExample));
  }
  Instances out;
  std::string_view list;
  Result<void> read;
  for_each_part(body, [&](std::string_view member) {
    const auto [name, value] = name_and_value(member);
    if (name == "inputs") {
      read = invalid("'inputs' is not offered here; send " + std::string(kExample));
    } else if (name == "instances" && !list.empty()) {
      read = invalid("the field 'instances' is given twice");
    } else if (name == "instances") {
      list = value;
    }
    return read.has_value();
  });
  if (!read) {
    return fail(std::move(read.error()));
  }
  if (!list.starts_with('[')) {
    return invalid(list.empty() ? "the field 'instances' is missing; send " + std::string(kExample)
                                : "instances must be an array; send " + std::string(kExample));
  }
  std::string_view first;
  for_each_part(list, [&](std::string_view part) {
    first = out.count++ == 0 ? part : first;
    return true;
  });
  if (out.count == 0) {
    return invalid("instances holds nothing; at least 1 is needed");
  }
  out.json = R"({"instances":)" + std::string(list) + "}";
  auto picture = read_picture(first);
  if (!picture) {
    return fail(std::move(picture.error()));
  }
  out.picture = std::move(*picture);
  return out;
}

bool has_member(std::string_view json, std::string_view name) {
  bool found = false;
  const std::string_view body = ascii::trim(without_byte_order_mark(json));
  if (body.starts_with('{')) {
    for_each_part(body, [&](std::string_view member) {
      found = found || name_and_value(member).first == name;
      return !found;
    });
  }
  return found;
}

Result<std::string> instances_to_oip(const Instances& instances,
                                     std::span<const TensorMetadata> inputs) {
  const std::string_view json = instances.json;
  const std::string_view list = json.substr(json.find('['), json.size() - 1 - json.find('['));
  std::vector<Column> columns(inputs.size());
  std::size_t index = 0;
  Result<void> read;
  for_each_part(list, [&](std::string_view part) {
    if (part.starts_with('{')) {
      read = add_object(part, index, inputs, columns);
    } else if (inputs.size() == 1) {
      columns[0].add(part);
    } else {
      read = invalid("instances[" + std::to_string(index) +
                     "] must be an object of the model's inputs: " + names_of(inputs));
    }
    ++index;
    return read.has_value();
  });
  if (!read) {
    return fail(std::move(read.error()));
  }
  std::string out = R"({"inputs":[)";
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    append_input(out, inputs[i], columns[i]);
  }
  out += "]}";
  return out;
}

Result<std::string> write_predictions(const InferAnswer& answer, std::size_t instances) {
  std::vector<std::vector<std::size_t>> ends;
  for (const OutputTensor& output : answer.outputs) {
    if (output.shape.empty() || output.shape[0] != static_cast<std::int64_t>(instances)) {
      return invalid("output '" + std::string(output.name) +
                     "' does not hold one entry for each instance; ask /v2/models/" +
                     std::string(answer.model) + "/infer for it");
    }
    ends.push_back(row_ends(output, instances));
  }
  const bool several = answer.outputs.size() > 1;
  std::string out = R"({"predictions":[)";
  for (std::size_t row = 0; row < instances; ++row) {
    out += row == 0 ? "" : ",";
    out += several ? "{" : "";
    for (std::size_t i = 0; i < answer.outputs.size(); ++i) {
      const OutputTensor& output = answer.outputs[i];
      if (several) {
        out += i == 0 ? "" : ",";
        append_json_string(out, output.name);
        out += ':';
      }
      const std::size_t begin = row == 0 ? 0 : ends[i][row - 1];
      if (auto done =
              append_nested(out, output.type, output.data.subspan(begin, ends[i][row] - begin),
                            std::span(output.shape).subspan(1));
          !done) {
        return invalid("output '" + std::string(output.name) + "': " + done.error().message);
      }
    }
    out += several ? "}" : "";
  }
  out += "]}";
  return out;
}

std::string write_predictions(const RowsAnswer& answer) {
  using Numbers = RowsAnswer::Numbers;
  const bool values = answer.numbers == Numbers::kValues || answer.numbers == Numbers::kDoubles;
  std::string out = R"({"predictions":[)";
  for (const RowAnswer& row : answer.rows) {
    out += out.back() == '[' ? "" : ",";
    if (values) {
      append_values(out, row, answer.numbers == Numbers::kValues);
    } else if (row.text_label) {
      append_json_string(out, *row.text_label);
    } else {
      append_json_number(out, row.prediction);
    }
  }
  out += "]}";
  return out;
}

}  // namespace podsense::protocol
