#pragma once

/// What a run measured. One Results per generator thread, merged at the end; results of several
/// generators merge the same way and lose nothing.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "quantiles/duration_histogram.h"

namespace podsense::load {

/// Why a request has no answer, or an answer that is none.
enum class ErrorKind {
  kNone,
  kConnect,      ///< no connection: refused, unreachable, reset while connecting
  kTls,          ///< the handshake or the certificate
  kTimeout,      ///< no complete answer within the time limit
  kClosed,       ///< the server closed the connection before the answer was complete
  kReset,        ///< the connection broke
  kProtocol,     ///< what came is no HTTP answer
  kCanceled,     ///< not finished when the run was interrupted
  kUnexpected,   ///< a 2xx answer without what was expected of it
  kDescriptors,  ///< the generator had no file descriptors left: nothing was sent
  kPorts,        ///< the generator had no local ports left: nothing was sent
};
inline constexpr std::size_t kErrorKinds = 11;
std::string_view error_kind_name(ErrorKind kind);
/// The generator's own doing; such requests count as dropped, not as failed.
bool is_shortage(ErrorKind kind);

/// A status is HTTP's number, or this plus gRPC's code.
inline constexpr int kGrpcStatus = 1000;
inline constexpr int kGrpcOk = kGrpcStatus;
/// "503", "UNAVAILABLE"
std::string status_name(int status);
/// The reverse; gRPC's codes also as numbers ("14"). Nothing where it is neither.
std::optional<int> parse_status(std::string_view name);
/// 2xx or gRPC's OK.
bool is_success(int status);

/// One request on its way. `intended` is when the schedule wanted it sent, `started` when the
/// generator acted.
struct RequestTicket {
  std::uint64_t index = 0;
  std::uint32_t worker = 0;  ///< of a closed loop
  TimePoint intended;
  TimePoint started;
};

/// Its end. `status` is as `status_name` takes it; 0 without an answer.
struct RequestOutcome {
  RequestTicket ticket;
  ErrorKind error = ErrorKind::kNone;
  bool ok = false;
  int status = 0;
  TimePoint first_byte;  ///< equal to `finished` where nothing came
  TimePoint finished;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::string_view sample;  ///< begin of what a failed answer said, or why there is none; borrowed
};

struct StatusResult {
  std::uint64_t count = 0;
  quantiles::DurationHistogram latency;  ///< from the intended time
};

/// A slice of the run, by intended time (offered … latency) and by the time of the answer (done).
struct LoadSlice {
  std::uint64_t offered = 0;
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;
  std::uint64_t dropped = 0;
  std::uint64_t done = 0;  ///< successful answers that came in this slice
  quantiles::DurationHistogram latency{quantiles::DurationHistogram::kCoarse};
  Duration worst_lag{};
  void merge(const LoadSlice& other);
};

/// What the generator itself took. The greatest of its threads and generators.
struct GeneratorUse {
  double busy = 0;       ///< share of the run that it used the CPU it may use
  double waited = 0;     ///< share of the run that it was ready to run and had no core
  Duration throttled{};  ///< CPU time that its quota took away
  void merge(const GeneratorUse& other);
};

/// Counts cover the measured window, unless said otherwise.
struct RequestCounts {
  std::uint64_t planned = 0;  ///< due in the window: sent + dropped
  std::uint64_t sent = 0;     ///< ok + failed + canceled
  std::uint64_t ok = 0;
  std::uint64_t failed = 0;
  std::uint64_t dropped =
      0;  ///< not sent: no connection was free and no more allowed, or a shortage
  std::uint64_t canceled = 0;     ///< not finished at an interrupt
  std::uint64_t outside = 0;      ///< due in warm-up or cool-down: in no other number
  std::uint64_t connections = 0;  ///< opened, the whole run
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
};

struct Results {
  RequestCounts counts;
  quantiles::DurationHistogram latency;     ///< intended time → last byte, successful answers
  quantiles::DurationHistogram service;     ///< actual time → last byte, successful answers
  quantiles::DurationHistogram first_byte;  ///< actual time → first byte, successful answers
  quantiles::DurationHistogram connect;     ///< TCP and TLS, every connection of the run
  quantiles::DurationHistogram send_lag;    ///< intended → actual time, everything sent
  quantiles::DurationHistogram
      failed;  ///< intended time → end, failed requests: they waited at least so long
  quantiles::DurationHistogram failed_service;  ///< actual time → end, failed requests
  std::map<int, StatusResult> status;
  std::array<std::uint64_t, kErrorKinds> errors{};
  std::map<std::string, std::string> samples;  ///< status or error → what the first of them said
  std::vector<LoadSlice> slices;
  GeneratorUse generator;
  Duration slice_width = std::chrono::seconds(1);
  Duration measured{};     ///< length of the window, cut short by an interrupt
  Duration last_answer{};  ///< from its begin to the last successful answer; at least `measured`

  /// Slices of different width, which are the shorter one doubled some times, become the wider.
  void merge(const Results& other);
  /// Slices of twice the width: two become one.
  void widen_slices();
};

/// One request, as a log of all of them has it. Times are those of its target's window.
struct RequestRow {
  std::uint64_t index = 0;
  unsigned target = 0;
  Duration due{};  ///< since the start of the run
  Duration send_lag{};
  Duration first_byte{};  ///< from when it was sent
  Duration service{};
  int status = 0;
  ErrorKind error = ErrorKind::kNone;
  bool ok = false;
  std::uint64_t bytes_in = 0;
};

/// Turns outcomes into Results. Requests are attributed by their intended time.
class Recorder {
 public:
  struct Window {
    TimePoint start;   ///< of the run
    Duration begin{};  ///< of the measured window, after the start
    Duration end{};
    Duration slice_width = std::chrono::seconds(1);
    unsigned target = 0;
    bool log = false;  ///< keep a RequestRow of each
  };
  explicit Recorder(Window window);

  void dropped(const RequestTicket& ticket);
  void sent(const RequestTicket& ticket);
  void finished(const RequestOutcome& outcome);
  void connected(Duration took);

  [[nodiscard]] const Results& results() const { return results_; }
  [[nodiscard]] Results take() { return std::move(results_); }
  /// Takes over the connections that were opened before the run.
  void connections_from(const Results& before);

  /// What happened since the last call, for a live view; includes warm-up and cool-down.
  struct Recent {
    std::uint64_t offered = 0;
    std::uint64_t ok = 0;
    std::uint64_t failed = 0;
    std::uint64_t dropped = 0;
    quantiles::DurationHistogram latency{quantiles::DurationHistogram::kCoarse};
    quantiles::DurationHistogram failed_latency{
        quantiles::DurationHistogram::kCoarse};  ///< also of what an interrupt ended
    quantiles::DurationHistogram send_lag{quantiles::DurationHistogram::kCoarse};
    void merge(const Recent& other);
  };
  Recent take_recent();
  /// Requests that ended, or were dropped, since the last call.
  std::vector<RequestRow> take_rows() { return std::exchange(rows_, {}); }

 private:
  void keep_row(const RequestOutcome& outcome);
  void unsent(const RequestOutcome& outcome);
  [[nodiscard]] bool measured(TimePoint intended) const;
  std::size_t slice_of(TimePoint moment);
  LoadSlice& slice_at(TimePoint moment) { return results_.slices[slice_of(moment)]; }
  void note_sample(const RequestOutcome& outcome);

  Window window_;
  Results results_;
  Recent recent_;
  std::vector<RequestRow> rows_;
};

}  // namespace podsense::load
