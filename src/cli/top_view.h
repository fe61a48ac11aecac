#pragma once

/// The view of `podsense top`: compares /metrics of one or several pods with their previous values
/// and formats one frame of text. Pure: no network, no terminal.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::cli {

struct Sample {
  std::string name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;
};

/// @errors kInvalidArgument: a line that is not a sample in Prometheus' text format; the message
/// contains it
/// @source Prometheus, "Exposition formats", text format 0.0.4
Result<std::vector<Sample>> parse_metrics(std::string_view text);

/// The metrics of one pod at one time.
struct Scrape {
  std::string pod;     ///< as given by the user
  std::string error;   ///< empty: `samples` are valid
  double seconds = 0;  ///< time, on any clock
  std::vector<Sample> samples;
};

struct TopSize {
  std::size_t columns = 200;
  std::size_t lines = 100'000;
};

/// `before` and `now` contain the same pods in the same order; rates and percentiles are those of
/// the time between. The frame has at most `size`; what does not fit is omitted, the least
/// important first.
std::string top_frame(const std::vector<Scrape>& before, const std::vector<Scrape>& now,
                      TopSize size = {});

}  // namespace podsense::cli
