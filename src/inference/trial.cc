#include "inference/trial.h"

#include <algorithm>
#include <new>
#include <utility>

#include "inference/opening.h"

namespace podsense::inference {
namespace {

constexpr std::string_view kOpened = "opened\n";
constexpr std::string_view kRefused = "refused ";
constexpr std::string_view kExhausted = "exhausted ";

std::string one_line(std::string_view tag, std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return std::string(tag) + text + "\n";
}

std::string too_much(std::uint64_t memory) {
  constexpr unsigned kMebi = 20;
  return one_line(kExhausted,
                  "opening it takes more memory than the " + std::to_string(memory >> kMebi) +
                      " MiB that a first opening may take here; 'limits.open_bytes' in model.yaml "
                      "allows more where there is more");
}

}  // namespace

std::string try_opening(const model::Backends& backends, const model::Candidate& candidate,
                        unsigned cores, std::uint64_t memory, const Clock& clock) try {
  auto opened =
      open_measured(backends, candidate, SavedProfiles(""), {.cores = cores}, clock, nullptr);
  if (!opened) {
    return opened.error().code == ErrorCode::kUnavailable
               ? too_much(memory)
               : one_line(kRefused, std::move(opened.error().message));
  }
  if (opened->out_of_memory) {
    return too_much(memory);
  }
  std::string report(kOpened);
  if (opened->warning.empty()) {
    report += write_profile(
        {}, {.threads = opened->model->threads(), .profile = std::move(opened->profile)});
  }
  return report;
} catch (const std::bad_alloc&) {
  return too_much(memory);
} catch (const std::exception& error) {
  return one_line(kRefused, std::string("loading failed: ") + error.what());
}

TrialReport read_report(std::string_view text) {
  using End = TrialReport::End;
  const auto line_after = [&](std::string_view tag) {
    return std::string(text.substr(tag.size(), text.find('\n') - tag.size()));
  };
  if (text.starts_with(kRefused)) {
    return {.end = End::kRefused, .reason = line_after(kRefused)};
  }
  if (text.starts_with(kExhausted)) {
    return {.end = End::kFellOver, .reason = line_after(kExhausted)};
  }
  if (!text.starts_with(kOpened)) {
    return {.end = End::kFellOver,
            .reason = "the process that opened it first ended without a report"};
  }
  TrialReport report{.end = End::kOpened};
  if (auto profile = read_profile(text.substr(kOpened.size()), {})) {
    report.profile = std::move(*profile);
  }
  return report;
}

}  // namespace podsense::inference
