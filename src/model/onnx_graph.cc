#include "model/onnx_graph.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

namespace podsense::model {
namespace {

using google::protobuf::io::CodedInputStream;

constexpr std::size_t kMaxNodes = 1'000'000;
constexpr std::size_t kMaxNumbers = 4096;  // of one constant; axes, shapes and indices are short
constexpr int kMaxNameBytes = 4096;
constexpr int kMaxNesting = 64;

/// TensorProto.DataType
constexpr std::uint64_t kFloat = 1;
constexpr std::uint64_t kInt32 = 6;
constexpr std::uint64_t kInt64 = 7;
constexpr std::uint64_t kBool = 9;

/// A field's number and wire type.
struct Tag {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;  // 0: varint, 1: 8 bytes, 2: length-delimited, 5: 4 bytes
};

/// Reads ONNX's messages field by field. Every function returns false if the bytes are malformed.
class Reader {
 public:
  explicit Reader(CodedInputStream& in) : in_(in) {}

  bool model(Graph& out) {
    return fields([&](Tag tag) {
      switch (tag.number) {
        case 7:
          graph_seen_ = true;
          return nested(tag, [&] { return graph(out, 0); });
        case 8:
          return nested(tag, [&] { return opset(out); });
        case 14:
          return nested(tag, [&] { return metadata(out); });
        case 25:
          ++out.functions;
          return skip(tag);
        default:
          return skip(tag);
      }
    });
  }
  [[nodiscard]] bool graph_seen() const { return graph_seen_; }

 private:
  /// Calls `each` with the tag of every field up to the current limit.
  template <class Each>
  bool fields(Each each) {
    while (const std::uint32_t tag = in_.ReadTag()) {
      if (!each(Tag{tag >> 3U, tag & 7U})) {
        return false;
      }
    }
    return in_.ConsumedEntireMessage();
  }

  /// Calls `read` with the limit set to an embedded message.
  template <class Read>
  bool nested(Tag tag, Read read) {
    std::uint32_t size = 0;
    if (tag.wire != 2 || !in_.ReadVarint32(&size)) {
      return false;
    }
    const auto limit = in_.PushLimit(static_cast<int>(size));
    const bool done = read();
    in_.PopLimit(limit);
    return done;
  }

  bool skip(Tag tag) {
    std::uint64_t number = 0;
    std::uint32_t size = 0;
    switch (tag.wire) {
      case 0:
        return in_.ReadVarint64(&number);
      case 1:
        return in_.Skip(8);
      case 2:
        return in_.ReadVarint32(&size) && in_.Skip(static_cast<int>(size));
      case 5:
        return in_.Skip(4);
      default:
        return false;
    }
  }

  bool text(Tag tag, std::string& out) {
    std::uint32_t size = 0;
    return tag.wire == 2 && in_.ReadVarint32(&size) && size <= kMaxNameBytes &&
           in_.ReadString(&out, static_cast<int>(size));
  }

  /// Reads a text; a long one is skipped, as it is not needed.
  bool short_text(Tag tag, std::string& out) {
    std::uint32_t size = 0;
    if (tag.wire != 2 || !in_.ReadVarint32(&size)) {
      return false;
    }
    return size <= kMaxNameBytes ? in_.ReadString(&out, static_cast<int>(size))
                                 : in_.Skip(static_cast<int>(size));
  }

  /// A repeated int64, packed or not. Values after the first kMaxNumbers are counted but not
  /// stored.
  bool numbers(Tag tag, std::vector<std::int64_t>& out) {
    std::uint64_t value = 0;
    const auto keep = [&] {
      if (out.size() <= kMaxNumbers) {
        out.push_back(static_cast<std::int64_t>(value));
      }
    };
    if (tag.wire == 0) {
      return in_.ReadVarint64(&value) && (keep(), true);
    }
    return nested(tag, [&] {
      while (in_.BytesUntilLimit() > 0) {
        if (!in_.ReadVarint64(&value)) {
          return false;
        }
        keep();
      }
      return true;
    });
  }

  /// StringStringEntryProto{key: 1, value: 2}
  bool metadata(Graph& out) {
    constexpr std::uint32_t kMaxBytes = 1U << 20U;
    std::string key;
    std::string value;
    const bool done = fields([&](Tag tag) {
      std::uint32_t size = 0;
      if (tag.number == 1) {
        return text(tag, key);
      }
      if (tag.number != 2) {
        return skip(tag);
      }
      if (tag.wire != 2 || !in_.ReadVarint32(&size)) {
        return false;
      }
      return size <= kMaxBytes ? in_.ReadString(&value, static_cast<int>(size))
                               : in_.Skip(static_cast<int>(size));
    });
    out.metadata.insert_or_assign(std::move(key), std::move(value));
    return done;
  }

  bool opset(Graph& out) {
    std::string domain;
    std::uint64_t version = 1;
    const bool done = fields([&](Tag tag) {
      if (tag.number == 1) {
        return text(tag, domain);
      }
      return tag.number == 2 && tag.wire == 0 ? in_.ReadVarint64(&version) : skip(tag);
    });
    if (domain.empty() || domain == "ai.onnx") {
      out.opset = static_cast<std::int64_t>(version);
    }
    return done;
  }

  // Recursion is bounded by kMaxNesting graphs of three messages each.
  // NOLINTNEXTLINE(misc-no-recursion)
  bool graph(Graph& out, int depth) {
    return depth <= kMaxNesting && fields([&](Tag tag) {
             switch (tag.number) {
               case 1:
                 return nested(tag, [&] { return node(out, depth); });
               case 5: {
                 std::string name;
                 GraphConstant constant;
                 const bool done = nested(tag, [&] { return tensor(constant, name); });
                 if (depth == 0) {
                   out.constants.emplace(std::move(name), std::move(constant));
                 }
                 return done;
               }
               case 11:
               case 12: {
                 auto& values = tag.number == 11 ? out.inputs : out.outputs;
                 return depth > 0 ? skip(tag)
                                  : nested(tag, [&] { return value_info(out, values); });
               }
               case 15:  // a sparse initializer: a constant like any other, with a shape of no
                         // interest
                 return nested(tag, [&] { return sparse(out, depth); });
               default:
                 return skip(tag);
             }
           });
  }

  /// ValueInfoProto{name: 1, type: 2} → TypeProto{tensor_type: 1} → Tensor{elem_type: 1, shape: 2}
  bool value_info(Graph& out, std::vector<GraphValue>& values) {
    GraphValue value;
    const auto tensor = [&] {
      value.tensor = true;
      return fields([&](Tag tag) {
        if (tag.number == 1 && tag.wire == 0) {
          std::uint64_t type = 0;
          const bool read = in_.ReadVarint64(&type);
          value.type = static_cast<std::int32_t>(type);
          return read;
        }
        return tag.number == 2 ? nested(tag, [&] { return shape(value); }) : skip(tag);
      });
    };
    const auto type = [&] {
      return fields([&](Tag tag) { return tag.number == 1 ? nested(tag, tensor) : skip(tag); });
    };
    const bool done = fields([&](Tag tag) {
      return tag.number == 1   ? text(tag, value.name)
             : tag.number == 2 ? nested(tag, type)
                               : skip(tag);
    });
    if (!value.dims) {
      out.unranked.insert(value.name);
    }
    values.push_back(std::move(value));
    return done && values.size() <= kMaxNodes;
  }

  /// TensorShapeProto{dim: 1} → Dimension{dim_value: 1, dim_param: 2}
  bool shape(GraphValue& value) {
    value.dims.emplace();
    return fields([&](Tag tag) {
      if (tag.number != 1) {
        return skip(tag);
      }
      std::int64_t dim = -1;
      std::string name;
      const bool done = nested(tag, [&] {
        return fields([&](Tag part) {
          if (part.number == 1 && part.wire == 0) {
            std::uint64_t size = 0;
            const bool read = in_.ReadVarint64(&size);
            dim = std::max<std::int64_t>(static_cast<std::int64_t>(size), -1);
            return read;
          }
          return part.number == 2 ? text(part, name) : skip(part);
        });
      });
      value.dims->push_back(dim);
      value.dim_names.push_back(std::move(name));
      return done && value.dims->size() <= kMaxNumbers;
    });
  }

  bool sparse(Graph& out, int depth) {
    return fields([&](Tag tag) {
      if (tag.number != 1) {
        return skip(tag);
      }
      std::string name;
      GraphConstant values;
      const bool done = nested(tag, [&] { return tensor(values, name); });
      if (depth == 0) {
        out.constants.emplace(std::move(name), GraphConstant{});
      }
      return done;
    });
  }

  // NOLINTNEXTLINE(misc-no-recursion): as graph
  bool node(Graph& out, int depth) {
    GraphNode node;
    const bool done = fields([&](Tag tag) {
      switch (tag.number) {
        case 1:
          return text(tag, node.inputs.emplace_back());
        case 2:
          return text(tag, node.outputs.emplace_back());
        case 3:
          return text(tag, node.name);
        case 4:
          return text(tag, node.op);
        case 5:
          return nested(tag, [&] { return attribute(out, node, depth); });
        case 7:
          return text(tag, node.domain);
        default:
          return skip(tag);
      }
    });
    if (node.domain == "ai.onnx") {
      node.domain.clear();
    }
    out.loops = out.loops || node.op == "Loop" || node.op == "Scan";
    if (depth == 0) {
      out.nodes.push_back(std::move(node));
    }
    return done && out.nodes.size() <= kMaxNodes;
  }

  // NOLINTNEXTLINE(misc-no-recursion): as graph
  bool attribute(Graph& out, GraphNode& node, int depth) {
    std::string name;
    GraphAttribute attribute;
    const bool done = fields([&](Tag tag) {
      switch (tag.number) {
        case 1:
          return text(tag, name);
        case 3: {
          std::uint64_t value = 0;
          const bool read = tag.wire == 0 && in_.ReadVarint64(&value);
          attribute.number = static_cast<std::int64_t>(value);
          return read;
        }
        case 4:
          return short_text(tag, attribute.text);
        case 5: {
          std::string unused;
          attribute.tensor.emplace();
          return nested(tag, [&] { return tensor(*attribute.tensor, unused); });
        }
        case 6:   // g
        case 11:  // graphs
          attribute.graph = true;
          return nested(tag, [&] { return graph(out, depth + 1); });
        case 8:
          return numbers(tag, attribute.numbers);
        default:
          return skip(tag);
      }
    });
    node.attributes.insert_or_assign(std::move(name), std::move(attribute));
    return done;
  }

  bool tensor(GraphConstant& out, std::string& name) {
    std::uint64_t type = 0;
    std::string raw;
    std::vector<std::int64_t> listed;
    bool elsewhere = false;
    const bool done = fields([&](Tag tag) {
      switch (tag.number) {
        case 1:
          return numbers(tag, out.dims);
        case 2:
          return tag.wire == 0 && in_.ReadVarint64(&type);
        case 4:
          return floats(tag, listed);
        case 5:  // int32_data, also of bool
        case 7:  // int64_data
          return numbers(tag, listed);
        case 8:
          return text(tag, name);
        case 9:
          return raw_data(tag, raw);
        case 13:
          elsewhere = true;
          return skip(tag);
        default:
          return skip(tag);
      }
    });
    if (!done || elsewhere) {
      return done;
    }
    std::uint64_t count = 1;
    for (const std::int64_t dim : out.dims) {
      if (dim < 0 || static_cast<std::uint64_t>(dim) > kMaxNumbers) {
        return true;
      }
      count *= static_cast<std::uint64_t>(dim);
      if (count > kMaxNumbers) {
        return true;
      }
    }
    out.numbers = raw.empty() ? std::move(listed) : unpack(type, raw);
    if (out.numbers && out.numbers->size() != count) {
      out.numbers.reset();
    }
    return true;
  }

  bool raw_data(Tag tag, std::string& out) {
    std::uint32_t size = 0;
    if (tag.wire != 2 || !in_.ReadVarint32(&size)) {
      return false;
    }
    return size <= kMaxNumbers * 8 ? in_.ReadString(&out, static_cast<int>(size))
                                   : in_.Skip(static_cast<int>(size));
  }

  /// float_data: stored if every value is integral, as the scales of a Resize often are.
  bool floats(Tag tag, std::vector<std::int64_t>& out) {
    const auto one = [&] {
      std::uint32_t bits = 0;
      if (!in_.ReadLittleEndian32(&bits)) {
        return false;
      }
      if (out.size() <= kMaxNumbers) {
        out.push_back(whole(std::bit_cast<float>(bits)));
      }
      return true;
    };
    return tag.wire == 5 ? one() : nested(tag, [&] {
      while (in_.BytesUntilLimit() > 0) {
        if (!one()) {
          return false;
        }
      }
      return true;
    });
  }

  /// A float as an integer; a value that is not integral becomes a number that no shape, axis or
  /// row scale has.
  static std::int64_t whole(float value) {
    constexpr float kMost = 1e9F;
    return value == std::floor(value) && std::abs(value) <= kMost ? static_cast<std::int64_t>(value)
                                                                  : std::int64_t{-1'000'000'007};
  }

  static std::optional<std::vector<std::int64_t>> unpack(std::uint64_t type,
                                                         const std::string& raw) {
    std::vector<std::int64_t> out;
    const auto each = [&]<class T>(T /*of*/, auto convert) {
      for (std::size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
        T value{};
        std::memcpy(&value, raw.data() + at, sizeof(T));
        out.push_back(convert(value));
      }
      return std::optional(std::move(out));
    };
    const auto plain = [](auto value) { return static_cast<std::int64_t>(value); };
    switch (type) {
      case kFloat:
        return each(float{}, whole);
      case kInt32:
        return each(std::int32_t{}, plain);
      case kInt64:
        return each(std::int64_t{}, plain);
      case kBool:
        return each(std::uint8_t{}, plain);
      default:
        return std::nullopt;
    }
  }

  CodedInputStream& in_;
  bool graph_seen_ = false;
};

}  // namespace

Result<Graph> read_graph(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return fail(ErrorCode::kInvalidArgument, "the file cannot be read");
  }
  google::protobuf::io::FileInputStream stream(descriptor);
  stream.SetCloseOnDelete(true);
  CodedInputStream in(&stream);
  Graph graph;
  Reader reader(in);
  if (!reader.model(graph) || !reader.graph_seen()) {
    return fail(ErrorCode::kInvalidArgument, "the file is no ONNX model that can be examined");
  }
  std::erase_if(graph.inputs,
                [&](const GraphValue& value) { return graph.constants.contains(value.name); });
  return graph;
}

}  // namespace podsense::model
