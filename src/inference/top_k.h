#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace podsense::inference {

/// The indices of the `k` highest scores, highest first, equal ones by lower index; all of them
/// where there are fewer than `k`.
template <class Score>
std::vector<std::uint32_t> top_k(std::span<const Score> scores, std::size_t k) {
  std::vector<std::uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  k = std::min(k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
                    });
  order.resize(k);
  return order;
}

}  // namespace podsense::inference
