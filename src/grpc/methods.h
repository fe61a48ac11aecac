#pragma once

/// Which methods there are, and what answers them. Private to this module.

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
    bool ends = true;  ///< the server ends its answer by itself: fit for gRPC-Web
  };

  void add(const RpcMethod& method, Open open, bool ends = true) {
    entries_.emplace(method.name, Entry{.method = method, .open = std::move(open), .ends = ends});
  }
  /// `handle` as UnaryCall has it.
  template <class Request, class Response>
  void unary(const RpcMethod& method, std::function<void(UnaryCall<Request, Response>&)> handle) {
    add(method, [handle = std::move(handle)](CallEnvironment& shared,
                                             std::shared_ptr<transport::Stream> stream,
                                             const RpcMethod& its_method) {
      return std::make_shared<UnaryCall<Request, Response>>(shared, std::move(stream), its_method,
                                                            handle);
    });
  }
  /// `fill(request, response)` takes no longer than writing it does.
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
  /// A method that is known, and not offered.
  void refuse(std::string_view name, std::string why);

  /// Null: there is none.
  [[nodiscard]] const Entry* find(std::string_view path) const {
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::unordered_map<std::string_view, Entry>& all() const { return entries_; }

 private:
  std::unordered_map<std::string_view, Entry> entries_;
};

/// Begins the call that `stream` asks for; UNIMPLEMENTED where there is no such method.
std::shared_ptr<transport::StreamService> open_call(
    CallEnvironment& shared, const Methods& methods,
    const std::shared_ptr<transport::Stream>& stream);

}  // namespace podsense::grpc
