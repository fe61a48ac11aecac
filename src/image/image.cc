#include "image/image.h"

#include <cmath>
#include <new>
#include <string>
#include <utility>

#include "image/decode.h"
#include "image/geometry.h"
#include "image/pipeline.h"

namespace podsense::image {

struct Scratch::Impl {
  Workspace workspace;
};

Scratch::Scratch() : impl_(std::make_unique<Impl>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;
std::size_t Scratch::bytes() const {
  return impl_->workspace.bytes();
}

namespace {

// The maximum memory that a thread keeps after a huge picture.
constexpr std::size_t kKeptBytes = std::size_t{64} << 20U;
constexpr std::uint32_t kMaxTargetSide = 16'384;

class WorkspaceLease {
 public:
  explicit WorkspaceLease(Workspace& workspace) : workspace_(workspace) {}
  WorkspaceLease(const WorkspaceLease&) = delete;
  WorkspaceLease& operator=(const WorkspaceLease&) = delete;
  ~WorkspaceLease() {
    if (workspace_.bytes() > kKeptBytes) {
      workspace_.release();
    }
  }

 private:
  Workspace& workspace_;
};

Result<Header> header_of(Bytes bytes, Format format) {
  switch (format) {
    case Format::kJpeg:
      return jpeg_header(bytes);
    case Format::kPng:
      return png_header(bytes);
    case Format::kGif:
      return gif_header(bytes);
    case Format::kAvif:
      return avif_header(bytes);
    case Format::kWebp:
      break;
  }
  return webp_header(bytes);
}

Result<void> check_sizes(const Info& info, const Limits& limits) {
  const auto size = std::to_string(info.width) + " x " + std::to_string(info.height);
  if (info.width > limits.max_side || info.height > limits.max_side) {
    return fail(ErrorCode::kPayloadTooLarge, "the picture is " + size + " pixels; at most " +
                                                 std::to_string(limits.max_side) +
                                                 " a side are accepted (limits.max_side)");
  }
  if (std::uint64_t{info.width} * info.height > limits.max_pixels) {
    return fail(ErrorCode::kPayloadTooLarge, "the picture is " + size + " pixels; at most " +
                                                 std::to_string(limits.max_pixels) +
                                                 " in all are accepted (limits.max_pixels)");
  }
  if (info.frames > limits.max_frames) {
    return fail(ErrorCode::kPayloadTooLarge, "the picture is an animation of " +
                                                 std::to_string(info.frames) + " frames; at most " +
                                                 std::to_string(limits.max_frames) +
                                                 " are accepted (limits.max_frames)");
  }
  return {};
}

Result<Header> check(Bytes bytes, const Limits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return fail(ErrorCode::kPayloadTooLarge,
                "the image has " + std::to_string(bytes.size()) + " bytes; at most " +
                    std::to_string(limits.max_bytes) + " are accepted (limits.max_body_bytes)");
  }
  const auto format = sniff(bytes);
  if (!format) {
    return fail(format.error());
  }
  auto header = header_of(bytes, *format);
  if (!header) {
    return header;
  }
  if (auto within = check_sizes(header->info, limits); !within) {
    return fail(std::move(within.error()));
  }
  if (header->fault) {
    return fail(std::move(*header->fault));
  }
  if (header->info.width == 0 || header->info.height == 0) {
    return fail(ErrorCode::kUnprocessable, "the picture's width or height is 0");
  }
  return header;
}

Result<void> check(const TensorSpec& spec, std::size_t elements) {
  const bool sides = spec.width >= 1 && spec.height >= 1 && spec.width <= kMaxTargetSide &&
                     spec.height <= kMaxTargetSide;
  if (!sides || !(spec.crop_fraction > 0.0 && spec.crop_fraction <= 1.0)) {
    return fail(ErrorCode::kInternal, "the model's picture size or crop is out of range",
                "TensorSpec: sides 1 to 16384, 0 < crop_fraction <= 1");
  }
  if (elements != element_count(spec)) {
    return fail(ErrorCode::kInternal, "the model's input has another size than its preprocessing",
                "to_tensor: out has " + std::to_string(elements) + " elements, the spec wants " +
                    std::to_string(element_count(spec)));
  }
  return {};
}

Result<void> decode(Bytes bytes, const Header& header, const Source& source, const Limits& limits,
                    Pipeline& pipeline, Workspace& workspace, const Budget& budget) {
  switch (header.info.format) {
    case Format::kJpeg:
      return decode_jpeg(bytes, source, pipeline, workspace, budget);
    case Format::kPng:
      return decode_png(bytes, source, limits, pipeline, workspace, budget);
    case Format::kGif:
      return decode_gif(bytes, pipeline, workspace, budget);
    case Format::kAvif:
      return decode_avif(bytes, pipeline, workspace, budget);
    case Format::kWebp:
      break;
  }
  return decode_webp(bytes, pipeline, workspace, budget);
}

unsigned reduction(const Info& info, const TensorSpec& spec, const ResizePlan& plan) {
  return info.format == Format::kJpeg && spec.scaled_decoding ? choose_eighths(plan) : 8;
}

ResizePlan plan_of(const Info& info, const TensorSpec& spec) {
  const bool transposed = orientation_of(info.orientation).transposed;
  return plan_resize(spec, transposed ? info.height : info.width,
                     transposed ? info.width : info.height);
}

Result<void> check_memory(const Info& info, const TensorSpec& spec, const Limits& limits) {
  const std::uint64_t needed = memory_needed(info, spec);
  if (needed <= limits.max_memory) {
    return {};
  }
  const auto megabytes = [](std::uint64_t bytes) {
    return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
  };
  return fail(ErrorCode::kPayloadTooLarge,
              "decoding this picture of " + std::to_string(info.width) + " x " +
                  std::to_string(info.height) + " pixels takes up to " + megabytes(needed) +
                  " of memory; at most " + megabytes(limits.max_memory) + " are allowed");
}

template <class T>
Result<Geometry> convert(Bytes bytes, const TensorSpec& spec, const Limits& limits,
                         std::span<T> out, Workspace& workspace) {
  const Budget budget(limits.max_time);
  if (auto valid = check(spec, out.size()); !valid) {
    return fail(std::move(valid.error()));
  }
  const auto header = check(bytes, limits);
  if (!header) {
    return fail(header.error());
  }
  const auto& info = header->info;
  if (auto fits = check_memory(info, spec, limits); !fits) {
    return fail(std::move(fits.error()));
  }
  auto memory = MemoryBudget::share(limits.budget, MemoryUse::kDecoding);
  if (auto taken = memory.grow_to(memory_needed(info, spec)); !taken) {
    return fail(std::move(taken.error()));
  }
  const auto plan = plan_of(info, spec);
  const bool gray = header->gray || spec.channels == Channels::kGray;
  const Source source{.info = info,
                      .eighths = reduction(info, spec, plan),
                      .pixels = gray ? Pixels::kGray : Pixels::kRgbx};
  Pipeline pipeline(spec, plan, source, workspace);
  if (auto done = decode(bytes, *header, source, limits, pipeline, workspace, budget); !done) {
    return fail(std::move(done.error()));
  }
  pipeline.finish(out);
  return geometry_of(plan, info);
}

template <class T>
Result<Geometry> convert_guarded(Bytes bytes, const TensorSpec& spec, const Limits& limits,
                                 std::span<T> out, Workspace& workspace) {
  const WorkspaceLease lease(workspace);
  try {
    return convert(bytes, spec, limits, out, workspace);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
  }
}

}  // namespace

std::string_view mime_type(Format format) {
  switch (format) {
    case Format::kJpeg:
      return "image/jpeg";
    case Format::kPng:
      return "image/png";
    case Format::kGif:
      return "image/gif";
    case Format::kAvif:
      return "image/avif";
    case Format::kWebp:
      break;
  }
  return "image/webp";
}

std::size_t channel_count(Channels channels) {
  return channels == Channels::kGray ? 1 : 3;
}

std::size_t element_count(const TensorSpec& spec) {
  return channel_count(spec.channels) * spec.width * spec.height;
}

Result<Info> inspect(std::span<const std::byte> bytes, const Limits& limits) {
  auto header = check(bytes, limits);
  if (!header) {
    return fail(std::move(header.error()));
  }
  return header->info;
}

std::uint64_t memory_needed(const Info& info, const TensorSpec& spec) {
  constexpr std::uint64_t kPixel = 4;
  constexpr std::uint64_t kSmallThings = std::uint64_t{256} << 10U;
  const auto plan = plan_of(info, spec);
  const auto eighths = reduction(info, spec, plan);
  const auto decoded = [&](std::uint32_t size) {
    return std::uint64_t{size} * eighths / 8 + 2 * kRowPadding;
  };
  const std::uint64_t width = decoded(plan.crop.width);
  const std::uint64_t height = decoded(plan.crop.height);
  std::uint64_t needed = info.decoder_bytes + kSmallThings;
  needed += height * plan.window.width * kPixel;  // rows resized to the target's width
  if (orientation_of(info.orientation).transposed) {
    needed += width * height * kPixel;
  }
  return needed;
}

Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<float> out, Scratch& scratch) {
  return convert_guarded(bytes, spec, limits, out, scratch.impl().workspace);
}

Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<std::uint8_t> out, Scratch& scratch) {
  return convert_guarded(bytes, spec, limits, out, scratch.impl().workspace);
}

}  // namespace podsense::image
