#pragma once

namespace podsense {

/// Which requests are logged, for every protocol. kSampled: every failure and a limited number of
/// successes per second, so that many requests do not flood the log.
enum class AccessLog { kOff, kErrors, kSampled, kAll };

}  // namespace podsense
