#include "plan/native_metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>
#include <span>

namespace podsense::plan {
namespace {

constexpr int kMostIndex = 100000;  ///< far beyond any double
constexpr std::uint64_t kMostBuckets = 100000;

/// One field of a message.
struct WireField {
  unsigned number = 0;
  std::uint64_t value = 0;  ///< varints, and fixed ones as bits
  std::string_view bytes;   ///< of length-delimited ones
};

/// Reads one message's fields; not the message any more where it is cut off.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) {
        return value;
      }
    }
    return std::nullopt;
  }
  std::optional<std::string_view> delimited() {
    const auto length = varint();
    if (!length || *length > rest_.size()) {
      return std::nullopt;
    }
    const auto bytes = rest_.substr(0, static_cast<std::size_t>(*length));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  std::optional<WireField> field() {
    const auto key = varint();
    if (!key) {
      return std::nullopt;
    }
    WireField out{.number = static_cast<unsigned>(*key >> 3U)};
    switch (*key & 7U) {
      case 0: {
        const auto value = varint();
        out.value = value.value_or(0);
        return value ? std::optional(out) : std::nullopt;
      }
      case 1:
        return fixed(out, 8);
      case 5:
        return fixed(out, 4);
      case 2: {
        const auto bytes = delimited();
        out.bytes = bytes.value_or("");
        return bytes ? std::optional(out) : std::nullopt;
      }
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<WireField> fixed(WireField out, std::size_t length) {
    if (rest_.size() < length) {
      return std::nullopt;
    }
    for (std::size_t i = 0; i < length; ++i) {
      out.value |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
    }
    rest_.remove_prefix(length);
    return out;
  }
  std::string_view rest_;
};

bool each_field(std::string_view bytes, const std::function<bool(const WireField&)>& read) {
  WireReader reader(bytes);
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field || !read(*field)) {
      return false;
    }
  }
  return true;
}

double real(const WireField& field) {
  return std::bit_cast<double>(field.value);
}
std::int64_t zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
}

struct Span {
  std::int64_t offset = 0;
  std::uint64_t length = 0;
};

bool read_span(std::string_view bytes, Span& out) {
  return each_field(bytes, [&](const WireField& field) {
    if (field.number == 1) {
      out.offset = zigzag(field.value);
    } else if (field.number == 2) {
      out.length = field.value;
    }
    return true;
  });
}

bool read_deltas(const WireField& field, std::vector<std::int64_t>& out) {
  if (field.bytes.empty()) {
    out.push_back(zigzag(field.value));
    return true;
  }
  WireReader reader(field.bytes);
  while (!reader.at_end()) {
    const auto value = reader.varint();
    if (!value) {
      return false;
    }
    out.push_back(zigzag(*value));
  }
  return true;
}

bool place(std::span<const Span> spans, std::span<const std::int64_t> deltas,
           NativeHistogram& out) {
  std::int64_t index = 0;
  std::int64_t count = 0;
  std::size_t next = 0;
  for (const Span& span : spans) {
    if (span.length > kMostBuckets || std::abs(span.offset) > kMostIndex) {
      return false;
    }
    index += span.offset;
    for (std::uint64_t i = 0; i < span.length; ++i, ++index, ++next) {
      if (next >= deltas.size() || std::abs(index) > kMostIndex) {
        return false;
      }
      count += deltas[next];
      if (count < 0) {
        return false;
      }
      if (count > 0) {
        out.buckets[static_cast<int>(index)] = static_cast<std::uint64_t>(count);
      }
    }
  }
  return true;
}

bool read_histogram(std::string_view bytes, NativeHistogram& out) {
  std::vector<Span> spans;
  std::vector<std::int64_t> deltas;
  const bool is_read = each_field(bytes, [&](const WireField& field) {
    switch (field.number) {
      case 1:
        out.count = field.value;
        return true;
      case 2:
        out.sum = real(field);
        return true;
      case 5:
        out.schema = static_cast<int>(zigzag(field.value));
        return out.schema >= -4 && out.schema <= 8;
      case 6:
        out.zero_threshold = real(field);
        return true;
      case 7:
        out.zeros = field.value;
        return true;
      case 12:
        return read_span(field.bytes, spans.emplace_back());
      case 13:
        return read_deltas(field, deltas);
      default:
        return true;
    }
  });
  return is_read && place(spans, deltas, out);
}

/// Counters, gauges and untyped values have their number in field 1.
bool read_value(std::string_view bytes, double& out) {
  return each_field(bytes, [&](const WireField& field) {
    out = field.number == 1 ? real(field) : out;
    return true;
  });
}

bool read_label(std::string_view bytes, MetricPoint& out) {
  std::string name;
  std::string value;
  const bool is_read = each_field(bytes, [&](const WireField& field) {
    if (field.number == 1) {
      name = field.bytes;
    } else if (field.number == 2) {
      value = field.bytes;
    }
    return true;
  });
  out.labels[name] = value;
  return is_read;
}

bool read_metric(std::string_view bytes, MetricPoint& out) {
  return each_field(bytes, [&](const WireField& field) {
    switch (field.number) {
      case 1:
        return read_label(field.bytes, out);
      case 2:  // gauge
      case 3:  // counter
      case 5:  // untyped
        return read_value(field.bytes, out.value);
      case 7:
        return read_histogram(field.bytes, out.histogram);
      default:
        return true;
    }
  });
}

/// The same buckets with a coarser schema: two become one, and so on.
std::map<int, std::uint64_t> reduced(const NativeHistogram& histogram, int schema) {
  std::map<int, std::uint64_t> out;
  const int steps = std::max(0, histogram.schema - schema);
  const double width = std::ldexp(1, steps);
  for (const auto& [index, count] : histogram.buckets) {
    out[static_cast<int>(std::ceil(index / width))] += count;
  }
  return out;
}

}  // namespace

Result<std::vector<MetricPoint>> parse_protobuf_metrics(std::string_view bytes) {
  std::vector<MetricPoint> out;
  WireReader families(bytes);
  while (!families.at_end()) {
    const auto family = families.delimited();
    std::string name;
    const bool is_read =
        family && each_field(*family, [&](const WireField& field) {
          if (field.number == 1) {
            name = field.bytes;
          }
          return field.number != 4 ||
                 read_metric(field.bytes, out.emplace_back(MetricPoint{.name = name}));
        });
    if (!is_read) {
      return fail(ErrorCode::kInvalidArgument,
                  "the answer of /metrics is not io.prometheus.client.MetricFamily messages");
    }
  }
  return out;
}

NativeHistogram NativeHistogram::since(const NativeHistogram& before) const {
  NativeHistogram out;
  out.schema = before.count == 0 ? schema : std::min(schema, before.schema);
  out.zero_threshold = zero_threshold;
  out.zeros = zeros - std::min(zeros, before.zeros);
  out.count = count - std::min(count, before.count);
  out.sum = sum - before.sum;
  out.buckets = reduced(*this, out.schema);
  for (const auto& [index, amount] : reduced(before, out.schema)) {
    auto& there = out.buckets[index];
    there -= std::min(there, amount);
  }
  std::erase_if(out.buckets, [](const auto& one) { return one.second == 0; });
  return out;
}

void NativeHistogram::add(const NativeHistogram& other) {
  if (other.count == 0) {
    return;
  }
  const int common = count == 0 ? other.schema : std::min(schema, other.schema);
  auto merged = reduced(*this, common);
  for (const auto& [index, amount] : reduced(other, common)) {
    merged[index] += amount;
  }
  buckets = std::move(merged);
  schema = common;
  zeros += other.zeros;
  count += other.count;
  sum += other.sum;
}

quantiles::DurationHistogram NativeHistogram::with_mean(double mean) const {
  const double step = std::exp2(std::exp2(-schema));
  double all = 0;
  double weighted = 0;
  for (const auto& [index, amount] : buckets) {
    all += static_cast<double>(amount);
    weighted += static_cast<double>(amount) * std::pow(step, index - 0.5);
  }
  all += static_cast<double>(zeros);
  const double factor = weighted > 0 ? mean * all / weighted : 0;
  quantiles::DurationHistogram out;
  for (std::uint64_t i = 0; i < zeros; ++i) {
    out.record({});
  }
  for (const auto& [index, amount] : buckets) {
    const double seconds = std::min(std::pow(step, index - 0.5) * factor, 600.0);
    for (std::uint64_t i = 0; i < amount; ++i) {
      out.record(Duration(std::llround(seconds * 1e9)));
    }
  }
  return out;
}

}  // namespace podsense::plan
