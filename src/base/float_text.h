#pragma once

namespace podsense {

/// Writes the shortest decimal number that parses back to `value`, which must be finite, and
/// returns its end. Needs 16 bytes at `at`. As short as std::to_chars, in less than half the time.
/// @source Raffaello Giulietti, The Schubfach way to render doubles (2021), section 9, for floats
char* write_shortest(char* at, float value);

}  // namespace podsense
