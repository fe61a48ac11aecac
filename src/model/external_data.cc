#include "model/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "model/labels.h"

namespace podsense::model {
namespace {

constexpr int kMaxNesting = 64;  // graphs in attributes; protobuf itself stops at 100 messages
constexpr std::size_t kMaxLocations = 10'000;
constexpr std::size_t kMaxLocationBytes = 4096;
constexpr std::size_t kMaxKeyBytes = 64;

/// The bytes of a model: a span, or a file through a window.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Bytes from `offset` on, as many as are in memory; empty: nothing can be read. Valid until the
  /// next call.
  virtual std::span<const std::byte> from(std::uint64_t offset) = 0;
};

class SpanSource final : public Source {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  std::span<const std::byte> from(std::uint64_t offset) override {
    return bytes_.subspan(std::min<std::uint64_t>(offset, bytes_.size()));
  }

 private:
  std::span<const std::byte> bytes_;
};

class FileSource final : public Source {
 public:
  explicit FileSource(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    if (fd_ >= 0 && ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode)) {
      size_ = static_cast<std::uint64_t>(status.st_size);
      usable_ = true;
    }
  }
  ~FileSource() override {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

  std::span<const std::byte> from(std::uint64_t offset) override {
    ssize_t got = 0;
    do {
      got = ::pread(fd_, window_.data(), window_.size(), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    return {window_.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

 private:
  int fd_ = -1;
  bool usable_ = false;
  std::uint64_t size_ = 0;
  std::array<std::byte, 16U << 10U> window_;
};

enum class Message {
  kModel,
  kTraining,
  kFunction,
  kGraph,
  kNode,
  kAttribute,
  kSparseTensor,
  kTensor,
  kEntry,
};

struct Child {
  Message parent;
  std::uint32_t field;
  Message child;
};

/// All fields that lead from a model to a tensor.
constexpr std::array<Child, 20> kChildren{{
    {Message::kModel, 7, Message::kGraph},
    {Message::kModel, 20, Message::kTraining},
    {Message::kModel, 25, Message::kFunction},
    {Message::kTraining, 1, Message::kGraph},
    {Message::kTraining, 2, Message::kGraph},
    {Message::kFunction, 7, Message::kNode},
    {Message::kFunction, 11, Message::kAttribute},
    {Message::kGraph, 1, Message::kNode},
    {Message::kGraph, 5, Message::kTensor},
    {Message::kGraph, 15, Message::kSparseTensor},
    {Message::kNode, 5, Message::kAttribute},
    {Message::kAttribute, 5, Message::kTensor},
    {Message::kAttribute, 6, Message::kGraph},
    {Message::kAttribute, 10, Message::kTensor},
    {Message::kAttribute, 11, Message::kGraph},
    {Message::kAttribute, 22, Message::kSparseTensor},
    {Message::kAttribute, 23, Message::kSparseTensor},
    {Message::kSparseTensor, 1, Message::kTensor},
    {Message::kSparseTensor, 2, Message::kTensor},
    {Message::kTensor, 13, Message::kEntry},
}};

constexpr std::size_t kMessages = 9;
constexpr std::uint32_t kFields = 32;
constexpr auto kChildTable = [] {
  std::array<std::array<std::optional<Message>, kFields>, kMessages> table{};
  for (const Child& c : kChildren) {
    table[static_cast<std::size_t>(c.parent)][c.field] = c.child;
  }
  return table;
}();

std::optional<Message> child_of(Message parent, std::uint32_t field) {
  return field < kFields ? kChildTable[static_cast<std::size_t>(parent)][field] : std::nullopt;
}

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Field {
  std::uint32_t number = 0;
  bool delimited = false;  ///< false: the value is already skipped
  Range content;
};

class Walker {
 public:
  explicit Walker(Source& source) : source_(source) {}

  Result<ExternalData> walk() {
    if (source_.size() == 0) {
      return fail(ErrorCode::kInvalidArgument, "the file is empty");
    }
    if (!message(Message::kModel, {0, source_.size()}, 0)) {
      return fail(ErrorCode::kInvalidArgument, why_);
    }
    if (!graph_seen_) {
      return fail(ErrorCode::kInvalidArgument, "not an ONNX model: it holds no graph");
    }
    std::ranges::sort(found_.locations);
    const auto repeated = std::ranges::unique(found_.locations);
    found_.locations.erase(repeated.begin(), repeated.end());
    return std::move(found_);
  }

 private:
  bool broken(std::uint64_t at) {
    why_ = "not an ONNX model, or cut short: broken at byte " + std::to_string(at) + " of " +
           std::to_string(source_.size());
    return false;
  }

  /// Must be fast: forests store a million numbers as single fields.
  bool have(std::uint64_t at) {
    // If `at` is before the window, the difference wraps and the check fails.
    if (at - window_begin_ < window_.size()) {
      return true;
    }
    window_begin_ = at;
    window_ = source_.from(at);
    return !window_.empty();
  }

  /// Skips consecutive single numbers inside the window, instead of a million calls of `field` for
  /// a forest. Stops at anything else, without an error.
  std::uint64_t skip_numbers(std::uint64_t& at, std::uint64_t end) const {
    constexpr std::size_t kLongest = 11;  // a tag of one byte, a varint of ten
    if (at - window_begin_ >= window_.size()) {
      return at;
    }
    const std::byte* const start = window_.data() + (at - window_begin_);
    const std::size_t room =
        std::min<std::uint64_t>(end - at, window_.size() - (at - window_begin_));
    std::size_t i = 0;
    while (i + kLongest <= room) {
      const auto tag = std::to_integer<unsigned>(start[i]);
      if (tag < 8 || tag >= 0x80) {
        break;
      }
      if ((tag & 7U) == 5) {
        i += 5;
        continue;
      }
      if ((tag & 7U) != 0) {
        break;
      }
      std::size_t last = i + 1;
      while (last < i + kLongest && (start[last] & std::byte{0x80}) != std::byte{0}) {
        ++last;
      }
      if (last == i + kLongest) {
        break;
      }
      i = last + 1;
    }
    at += i;
    return at;
  }

  bool varint(std::uint64_t& at, std::uint64_t end, std::uint64_t& value) {
    const std::uint64_t start = at;
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at >= end || !have(at)) {
        return broken(start);
      }
      const auto bits = std::to_integer<std::uint64_t>(window_[at - window_begin_]);
      ++at;
      if (shift < 64) {
        value |= (bits & 0x7FU) << shift;
      }
      if ((bits & 0x80U) == 0) {
        return true;
      }
    }
    return broken(start);
  }

  bool field(std::uint64_t& at, std::uint64_t end, Field& out) {
    const std::uint64_t start = at;
    std::uint64_t tag = 0;
    if (!varint(at, end, tag)) {
      return false;
    }
    if (tag > 0xFFFFFFFFU || (tag >> 3U) == 0) {
      return broken(start);
    }
    out.number = static_cast<std::uint32_t>(tag >> 3U);
    out.delimited = false;
    std::uint64_t size = 0;
    switch (tag & 7U) {
      case 0:
        return varint(at, end, size);
      case 1:
        size = 8;
        break;
      case 2:
        if (!varint(at, end, size)) {
          return false;
        }
        out.delimited = true;
        break;
      case 5:
        size = 4;
        break;
      default:  // groups are not used in ONNX
        return broken(start);
    }
    if (size > end - at) {
      return broken(start);
    }
    out.content = {at, at + size};
    at += size;
    return true;
  }

  // Recursion is bounded by kMaxNesting graphs of at most five messages each.
  // NOLINTNEXTLINE(misc-no-recursion)
  bool message(Message kind, Range range, int graphs) {
    if (kind == Message::kEntry) {
      return entry(range);
    }
    if (kind == Message::kGraph && ++graphs > kMaxNesting) {
      why_ = "graphs are nested too deeply";
      return false;
    }
    graph_seen_ = graph_seen_ || kind == Message::kGraph;
    Field next;
    for (std::uint64_t at = range.begin; skip_numbers(at, range.end) < range.end;) {
      if (!field(at, range.end, next)) {
        return false;
      }
      const auto child = next.delimited ? child_of(kind, next.number) : std::nullopt;
      if (child == Message::kTensor) {
        elsewhere_ = kind != Message::kGraph || graphs > 1;
      }
      if (child && !message(*child, next.content, graphs)) {
        return false;
      }
    }
    return true;
  }

  /// Reads a StringStringEntryProto. Of repeated keys or values protobuf uses the last one, so here
  /// each counts as a location.
  bool entry(Range range) {
    bool is_location = false;
    std::vector<std::string> values;
    Field next;
    for (std::uint64_t at = range.begin; at < range.end;) {
      if (!field(at, range.end, next)) {
        return false;
      }
      if (!next.delimited || (next.number != 1 && next.number != 2)) {
        continue;
      }
      std::string text;
      if (!read_text(next, text)) {
        return false;
      }
      if (next.number == 1) {
        is_location = is_location || text == "location";
      } else {
        values.push_back(std::move(text));
      }
    }
    if (is_location) {
      if (found_.locations.size() + values.size() > kMaxLocations) {
        why_ = "external data in more than " + std::to_string(kMaxLocations) + " places";
        return false;
      }
      std::ranges::move(values, std::back_inserter(found_.locations));
      found_.elsewhere = found_.elsewhere || elsewhere_;
    }
    return true;
  }

  bool read_text(const Field& field, std::string& text) {
    const std::uint64_t size = field.content.end - field.content.begin;
    const bool key = field.number == 1;
    if (key && size > kMaxKeyBytes) {
      return true;  // not a key we search for
    }
    if (size > kMaxLocationBytes) {
      why_ = "an external data path is longer than " + std::to_string(kMaxLocationBytes) + " bytes";
      return false;
    }
    for (std::uint64_t at = field.content.begin; at < field.content.end; ++at) {
      if (!have(at)) {
        return broken(at);
      }
      text.push_back(static_cast<char>(window_[at - window_begin_]));
    }
    return true;
  }

  Source& source_;
  std::span<const std::byte> window_;
  std::uint64_t window_begin_ = 0;
  ExternalData found_;
  std::string why_;
  bool graph_seen_ = false;
  bool elsewhere_ = false;  // about the current tensor
};

/// Whether the file is a Git LFS pointer, which people sometimes commit or download instead of the
/// model.
bool is_git_lfs_pointer(Source& source) {
  constexpr std::string_view kStart = "version https://git-lfs.github.com/spec/";
  const auto bytes = source.from(0);
  return bytes.size() >= kStart.size() &&
         std::memcmp(bytes.data(), kStart.data(), kStart.size()) == 0;
}

}  // namespace

Result<ExternalData> find_external_data(std::span<const std::byte> onnx) {
  SpanSource source(onnx);
  return Walker(source).walk();
}

Result<ExternalData> find_external_data(const std::filesystem::path& file) {
  FileSource source(file);
  if (!source.usable()) {
    return fail(ErrorCode::kInvalidArgument, "the file cannot be read",
                std::generic_category().message(errno));
  }
  if (is_git_lfs_pointer(source)) {
    return fail(ErrorCode::kInvalidArgument,
                "a Git LFS pointer, not the model; run 'git lfs pull' and copy it again");
  }
  return Walker(source).walk();
}

Result<std::vector<std::filesystem::path>> resolve_external_data(
    const ExternalData& data, const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const std::string& location : data.locations) {
    auto file = resolve_inside(folder, location);
    if (!file) {
      return fail(ErrorCode::kInvalidArgument, "external data: " + file.error().message,
                  file.error().detail);
    }
    files.push_back(std::move(*file));
  }
  return files;
}

}  // namespace podsense::model
