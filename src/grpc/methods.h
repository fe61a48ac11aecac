#pragma once

/// The table of methods and their implementations. Private to this module.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grpc/call.h"
#include "grpc/stream_call.h"

namespace podsense::grpc {

/// @threads immutable once built
class Methods {
 public:
  using Open = std::function<std::shared_ptr<Call>(
      CallEnvironment&, std::shared_ptr<transport::Stream>, const RpcMethod&)>;
  struct Entry {
    RpcMethod method;
    Open open;
    bool ends = true;  ///< the server ends the call, so it is possible in gRPC-Web
  };

  void add(const RpcMethod& method, Open open, bool ends = true) {
    entries_.emplace(method.name, Entry{.method = method, .open = std::move(open), .ends = ends});
  }
  /// `handle`: see UnaryCall::Handle.
  template <class Request, class Response>
  void unary(const RpcMethod& method, std::function<void(UnaryCall<Request, Response>&)> handle) {
    add(method, [handle = std::move(handle)](CallEnvironment& shared,
                                             std::shared_ptr<transport::Stream> stream,
                                             const RpcMethod& its_method) {
      return std::make_shared<UnaryCall<Request, Response>>(shared, std::move(stream), its_method,
                                                            handle);
    });
  }
  /// For methods that answer at once: `fill(request, response)` must be fast and not block.
  template <class Request, class Response>
  void answer(const RpcMethod& method,
              std::function<Result<void>(const Request&, Response&)> fill) {
    unary<Request, Response>(method, [fill = std::move(fill)](UnaryCall<Request, Response>& call) {
      call.reply(fill(call.request(), call.response()));
    });
  }
  template <class Request, class Response>
  void stream(const RpcMethod& method,
              const typename StreamCall<Request, Response>::Handlers& handlers) {
    add(method, [handlers](CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
                           const RpcMethod& its_method) {
      return std::make_shared<StreamCall<Request, Response>>(shared, std::move(stream), its_method,
                                                             handlers);
    });
  }
  /// Adds a known method that is not supported, and the reason.
  void refuse(std::string_view name, std::string why);

  /// The entry of a method; null: unknown.
  [[nodiscard]] const Entry* find(std::string_view path) const {
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::unordered_map<std::string_view, Entry>& all() const { return entries_; }

 private:
  std::unordered_map<std::string_view, Entry> entries_;
};

/// Begins the call that `stream` requests; answers UNIMPLEMENTED if the method is unknown.
std::shared_ptr<transport::StreamService> open_call(
    CallEnvironment& shared, const Methods& methods,
    const std::shared_ptr<transport::Stream>& stream);

}  // namespace podsense::grpc
