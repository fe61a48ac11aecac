#include "cli/load_oip.h"

#include "http/probe.h"
#include "load/requests/oip_request.h"

namespace podsense::cli {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(5);

/// Over gRPC, the load module requests the metadata itself.
Result<void> use_grpc(const OipFlags& flags, load::LoadOptions& options) {
  if (flags.form == "json") {
    return fail(ErrorCode::kInvalidArgument, "tensors go over gRPC as bytes: say --oip binary");
  }
  if (!flags.form.empty() && flags.model.empty()) {
    return fail(ErrorCode::kInvalidArgument, "--oip needs --model NAME");
  }
  options.model = flags.model;
  options.oip = !flags.form.empty();
  options.batch = flags.batch;
  return {};
}

/// GET over HTTP/1.1.
Result<load::Document> get(const std::string& address, const load::LoadOptions& options) {
  auto answer = http::probe(
      address, {.timeout = kTimeout,
                .ca_file = options.ca_file,
                .certificate = options.certificate_file,
                .key = options.key_file.empty() ? options.certificate_file : options.key_file,
                .verify = options.verify_tls});
  if (!answer) {
    return fail(std::move(answer.error()));
  }
  return load::Document{.status = answer->status, .body = std::move(answer->body)};
}

}  // namespace

Result<void> use_oip(const OipFlags& flags, load::LoadOptions& options) {
  if (load::is_grpc(options)) {
    return use_grpc(flags, options);
  }
  if (flags.form.empty()) {
    if (!flags.model.empty()) {
      return fail(ErrorCode::kInvalidArgument, "--model belongs to --oip or --grpc");
    }
    return {};
  }
  if (flags.model.empty()) {
    return fail(ErrorCode::kInvalidArgument, "--oip needs --model NAME");
  }
  if (!options.targets.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--oip over HTTP asks one server for the model's metadata: leave out --target");
  }
  if (options.body || !options.body_file.empty() || !options.image.empty() ||
      !options.features.empty()) {
    return fail(ErrorCode::kInvalidArgument, "--oip makes the body: leave out the other");
  }
  std::string base =
      options.url.find("://") == std::string::npos ? "http://" + options.url : options.url;
  while (base.ends_with('/')) {
    base.pop_back();
  }
  base += "/v2/models/" + flags.model;
  const auto metadata = options.http2 ? load::get_over_http2(options, base) : get(base, options);
  if (!metadata) {
    return fail(metadata.error().code, base + ": " + metadata.error().message);
  }
  if (metadata->status != 200) {
    return fail(ErrorCode::kNotFound, base + " answers " + std::to_string(metadata->status) + ": " +
                                          metadata->body.substr(0, 300));
  }
  auto request = load::make_oip_request(
      metadata->body,
      {.binary = flags.form == "binary", .batch = flags.batch, .seed = options.seed});
  if (!request) {
    return fail(std::move(request.error()));
  }
  options.url = base + "/infer";
  options.body = std::move(request->body);
  options.headers.insert(options.headers.end(), request->headers.begin(), request->headers.end());
  return {};
}

}  // namespace podsense::cli
