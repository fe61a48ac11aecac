// For a machine whose kernel has no IPv6: preloaded into servers.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

extern "C" int socket(int domain, int type, int protocol) noexcept {
  if (domain == AF_INET6) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}
