// What `podsense load` reads from files: traces, tables, templates, reports of other generators,
// and the small languages of its command line. The first byte, a digit in the seeds, chooses.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arrivals/arrival_trace.h"
#include "arrivals/arrivals.h"
#include "load/measuring/threshold.h"
#include "load/reports/report.h"
#include "load/requests/body_template.h"
#include "load/requests/url.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

void check(bool good) {
  if (!good) {
    __builtin_trap();
  }
}

/// Moments never fall, and none lies beyond the end.
void run_schedule(std::shared_ptr<const arrivals::ArrivalShape> shape, Duration end) {
  arrivals::Schedule schedule(std::move(shape), {.end = end, .most = 2000});
  Duration last{};
  while (const auto next = schedule.next()) {
    check(next->at >= last && next->at <= end);
    last = next->at;
  }
}

void template_and_rows(std::string_view text) {
  const std::size_t cut = text.find('\f');
  auto rows = cut == std::string_view::npos ? Result<load::Table>(fail(ErrorCode::kNotFound, ""))
                                            : load::parse_table(text.substr(cut + 1));
  const auto table = rows ? std::make_shared<const load::Table>(std::move(*rows)) : nullptr;
  if (const auto body = load::BodyTemplate::parse(text.substr(0, cut), table, 1)) {
    std::string first;
    std::string again;
    body->append(3, first);
    body->append(3, again);
    check(first == again);
  }
}

/// A URL and its placeholders.
void target(std::string_view text) {
  const auto url = load::parse_url(text);
  if (!url) {
    return;
  }
  check(!url->host.empty() && url->port != 0 && url->target.starts_with('/'));
  if (const auto path = load::BodyTemplate::parse(url->target, nullptr, 1)) {
    std::string sent;
    path->append_encoded(7, sent);
    check(sent.find_first_of(" \r\n") == std::string::npos);
  }
}

void report(std::string_view text) {
  if (const auto read = load::read_load_report(text)) {
    const auto again = load::read_load_report(load::json_report(*read));
    check(again.has_value());
    const auto merged = load::merge_reports({*read, *again});
    check(!merged || merged->results.latency.count() >= read->results.latency.count());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string text(data + 1, data + size);
  switch (data[0] % 6) {  // 0 for '0'
    case 0:
      if (auto trace = arrivals::parse_arrival_trace(text, {})) {
        run_schedule(std::move(trace->shape), trace->length);
      }
      break;
    case 1:
      template_and_rows(text);
      break;
    case 2:
      report(text);
      break;
    case 3:
      if (auto shape = arrivals::parse_shape(text, std::chrono::seconds(10))) {
        run_schedule(std::move(*shape), std::chrono::seconds(10));
      }
      break;
    case 4:
      target(text);
      break;
    default:
      if (const auto threshold = load::LoadThreshold::parse(text)) {
        static_cast<void>(threshold->check({}));
      }
      static_cast<void>(load::LoadThreshold::parse_objective(text));
  }
  return 0;
}
