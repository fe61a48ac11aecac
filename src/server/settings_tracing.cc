#include "server/setting_rows.h"

namespace podsense::server {

using std::chrono::milliseconds;
using std::chrono::minutes;

std::vector<Setting> tracing_settings() {
  using T = Config::Tracing;
  using trace::Sampler;
  constexpr auto kIn = &Config::tracing;
  constexpr DurationRange kExport{.min = milliseconds(100), .max = minutes(1)};
  return {
      row("tracing.endpoint", "otlp-endpoint", text(kIn, &T::endpoint, "URL"),
          "Collector that accepts OTLP over HTTP, such as http://collector:4318; /v1/traces is "
          "added. Empty: no traces.",
          "OTEL_EXPORTER_OTLP_ENDPOINT"),
      row("tracing.traces_endpoint", "otlp-traces-endpoint", text(kIn, &T::traces_endpoint, "URL"),
          "Complete URL for traces, used unchanged instead of the endpoint.",
          "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
      row("tracing.headers", "otlp-headers", encoded_map(kIn, &T::headers, true),
          "Headers of each export, such as Authorization=Bearer%20KEY: %XX is decoded in values, "
          "which are never shown.",
          "OTEL_EXPORTER_OTLP_TRACES_HEADERS OTEL_EXPORTER_OTLP_HEADERS"),
      row("tracing.ca_file", "otlp-ca-file", text(kIn, &T::ca_file, "FILE"),
          "PEM file with the authorities trusted for the collector's certificate. Empty: the "
          "system's.",
          "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE OTEL_EXPORTER_OTLP_CERTIFICATE"),
      row("tracing.certificate", "otlp-certificate", text(kIn, &T::certificate, "FILE"),
          "PEM client certificate for the collector. Empty: none.",
          "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
      row("tracing.key", "otlp-key", text(kIn, &T::key, "FILE"), "Its private key.",
          "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY OTEL_EXPORTER_OTLP_CLIENT_KEY"),
      row("tracing.timeout", "otlp-timeout", duration(kIn, &T::timeout, kExport),
          "Time limit of one export; in OpenTelemetry's variables in milliseconds.",
          "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT OTEL_EXPORTER_OTLP_TIMEOUT"),
      row("tracing.max_queue", "trace-queue",
          integer(kIn, &T::max_queue, {.min = 1, .max = 1'000'000}),
          "Most traced requests that wait for export while the collector is unavailable; further "
          "ones are dropped and counted.",
          "OTEL_BSP_MAX_QUEUE_SIZE"),
      row("tracing.sampler", "trace-sampler",
          choice(kIn, &T::sampler,
                 Names<Sampler>{{"parentbased_traceidratio", Sampler::kParentRatio},
                                {"parentbased_always_on", Sampler::kParentAlwaysOn},
                                {"parentbased_always_off", Sampler::kParentAlwaysOff},
                                {"traceidratio", Sampler::kRatio},
                                {"always_on", Sampler::kAlwaysOn},
                                {"always_off", Sampler::kAlwaysOff}},
                 6),
          "Which requests are traced. parentbased_…: as the caller decides (traceparent), if there "
          "is one. Requests that fail with 5xx are always traced, unless it is always_off.",
          "OTEL_TRACES_SAMPLER"),
      row("tracing.ratio", "trace-ratio", number(kIn, &T::ratio, {.min = 0, .max = 1}),
          "Share of the requests that a sampler of traceidratio traces.",
          "OTEL_TRACES_SAMPLER_ARG"),
      row("tracing.service_name", "service-name", text(kIn, &T::service_name, "NAME"),
          "service.name of the traces. If it is not set, the one in the resource attributes is "
          "used.",
          "OTEL_SERVICE_NAME"),
      row("tracing.resource_attributes", "resource-attributes",
          encoded_map(kIn, &T::resource_attributes, false),
          "Further attributes of the traces' resource, such as deployment.environment=test; %XX is "
          "decoded in values.",
          "OTEL_RESOURCE_ATTRIBUTES"),
  };
}

}  // namespace podsense::server
