#include "server/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>

#include "base/temp_folder_testing.h"

namespace podsense::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// What a service manager hears.
class Listener {
 public:
  explicit Listener(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool abstract = name[0] == '@';
    if (abstract) {
      address.sun_path[0] = '\0';
    }
    const auto size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1));
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  ~Listener() { ::close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] std::string hear() const {
    std::array<char, 4096> text{};
    const ssize_t got = ::recv(socket_, text.data(), text.size(), MSG_DONTWAIT);
    return got < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(got));
  }

 private:
  int socket_;
};

ServiceManager manager(const std::map<std::string, std::string>& environment) {
  return ServiceManager::from([&environment](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(ServiceManager, HearsEachStateOnAPathAndOnAnAbstractSocket) {
  const TempFolder folder;
  const std::string path = (folder / "notify").string();
  const std::string abstract = "@podsense-test-" + std::to_string(::getpid());
  for (const std::string& name : {path, abstract}) {
    const Listener listener(name);
    const ServiceManager told = manager({{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "4000000"}});
    EXPECT_EQ(told.watchdog(), std::chrono::seconds(4));
    told.ready();
    EXPECT_EQ(listener.hear(), "READY=1\nSTATUS=serving");
    told.reloading();
    EXPECT_THAT(listener.hear(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    told.alive();
    EXPECT_EQ(listener.hear(), "WATCHDOG=1");
    told.stopping();
    EXPECT_THAT(listener.hear(), StartsWith("STOPPING=1\n"));
  }
}

TEST(ServiceManager, IsToldOfLifeOnlyWhereItWaitsForThisProcess) {
  const std::string name = "@podsense-test-watchdog-" + std::to_string(::getpid());
  const Listener listener(name);
  for (const auto& [us, pid] : std::map<std::string, std::string>{
           {"4000000", "1"}, {"", ""}, {"0", ""}, {"soon", ""}, {"-1", ""}}) {
    const ServiceManager quiet =
        manager({{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", us}, {"WATCHDOG_PID", pid}});
    EXPECT_EQ(quiet.watchdog(), Duration::zero()) << us;
    quiet.alive();
    EXPECT_EQ(listener.hear(), "nothing");
  }
  manager({{"NOTIFY_SOCKET", name},
           {"WATCHDOG_USEC", "4000000"},
           {"WATCHDOG_PID", std::to_string(::getpid())}})
      .alive();
  EXPECT_EQ(listener.hear(), "WATCHDOG=1");
}

TEST(ServiceManager, OneThatCannotBeReachedIsToldOfOnce) {
  testing::internal::CaptureStdout();
  manager({}).ready();
  for (const std::string& name :
       {std::string("/nowhere/notify"), std::string("vsock:2:1"), "/" + std::string(200, 'x')}) {
    manager({{"NOTIFY_SOCKET", name}}).ready();
  }
  const std::string lines = testing::internal::GetCapturedStdout();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << lines;
  EXPECT_THAT(lines, HasSubstr(R"("event":"service_manager_unreachable")"));
  EXPECT_THAT(lines, HasSubstr("/nowhere/notify"));
}

}  // namespace
}  // namespace podsense::server
