#pragma once

namespace podsense {

/// Which requests get a line in the log, over every protocol. kSampled: every failure, and some
/// successes a second, so that a flood of requests is no flood of lines.
enum class AccessLog { kOff, kErrors, kSampled, kAll };

}  // namespace podsense
