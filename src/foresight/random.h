#pragma once

/// Random numbers by name: a stream is its seed, purpose and number, so that a pod more or another
/// route leaves all other numbers as they were, and settings can be compared on the same luck.

#include <cstdint>

namespace podsense::foresight {

enum class Purpose : std::uint8_t {
  kRun,      ///< CPU time of a run
  kRoute,    ///< which pod or connection
  kStart,    ///< a pod's stages
  kPhase,    ///< when something periodic begins
  kSampler,  ///< cAdvisor's gaps
  kScrape,   ///< metrics-server's delay to a node
  kBackoff,  ///< a client's wait before it asks again
  kThin,     ///< which requests reach a sample of the pods
};

/// @source Guy Steele and others, "Fast splittable pseudorandom number generators" (SplitMix64)
constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

/// @threads confined to one thread
class RandomStream {
 public:
  constexpr RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t number,
                         std::uint64_t part = 0)
      : state_(mix(
            mix(mix(seed + kStep) + (static_cast<std::uint64_t>(purpose) + 1) * kStep + number) +
            part * kStep)) {}
  constexpr std::uint64_t next() { return mix(state_ += kStep); }
  /// Above 0 and below 1.
  constexpr double uniform() { return (static_cast<double>(next() >> 12U) + 0.5) * 0x1p-52; }
  /// Below `count`. @pre ≥ 1
  constexpr std::uint64_t below(std::uint64_t count) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * count) >> 64U);
  }

 private:
  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15U;
  std::uint64_t state_;
};

}  // namespace podsense::foresight
