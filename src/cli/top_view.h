#pragma once

/// What `podsense top` shows: /metrics of one or several pods read, compared with what they were a
/// moment ago, written as one frame of text. Pure: no network, no terminal.

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

/// @errors kInvalidArgument: a line that is no sample of Prometheus' text format, naming it
/// @source Prometheus, "Exposition formats", text format 0.0.4
Result<std::vector<Sample>> parse_metrics(std::string_view text);

/// One pod at one moment.
struct Scrape {
  std::string pod;     ///< as it was asked for
  std::string error;   ///< empty: `samples` are good
  double seconds = 0;  ///< when, on any clock
  std::vector<Sample> samples;
};

struct TopSize {
  std::size_t columns = 200;
  std::size_t lines = 100'000;
};

/// `before` and `now` list the same pods in the same order; rates and percentiles are of what came
/// between. At most `size`: what does not fit is left out, the least important first.
std::string top_frame(const std::vector<Scrape>& before, const std::vector<Scrape>& now,
                      TopSize size = {});

}  // namespace podsense::cli
