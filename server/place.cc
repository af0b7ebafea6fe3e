#include "server/place.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace utrace::server {
namespace {

constexpr char kSocket[] = "server";
constexpr char kLock[] = "lock";
constexpr int kBacklog = 1024;
constexpr timeval kConnectPatience{.tv_sec = 30, .tv_usec = 0};

// What environment variables say does not count in a program that runs with more than its user's rights.
const char* Variable(const char* name) {
  const char* value = secure_getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

bool IsOurs(const char* directory) {
  struct stat info {};
  return stat(directory, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

std::string ChooseDirectory() {
  if (const char* own = Variable("UTRACE_SOCKET_DIR")) return own;
  const char* runtime = Variable("XDG_RUNTIME_DIR");
  // After su or sudo it may be that of the user one was before.
  if (runtime != nullptr && IsOurs(runtime)) return fmt::format("{}/utrace", runtime);
  return fmt::format("/tmp/utrace-{}", geteuid());
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy_n(path.data(), std::min(path.size(), sizeof(address.sun_path) - 1), address.sun_path);
  return address;
}

}  // namespace

std::optional<Place> Place::Open(std::string* error) {
  const std::string directory = ChooseDirectory();
  const auto failed = [&](const std::string& why) {
    *error = fmt::format(
        "the server's directory {} cannot be used: {}; UTRACE_SOCKET_DIR may name another",
        directory, why);
    return std::nullopt;
  };
  if (directory.front() != '/') return failed("its name does not begin with /");
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return failed(strerror(errno));
  Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return failed(errno == ENOTDIR || errno == ELOOP ? "it is no directory" : strerror(errno));
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return failed(strerror(errno));
  if (info.st_uid != geteuid()) {
    return failed(fmt::format("it belongs to user {}", info.st_uid));
  }
  if ((info.st_mode & 077) != 0) {
    return failed(fmt::format("others may enter it (mode {:o}, must be 700)", info.st_mode & 0777));
  }
  return Place(directory, std::move(fd));
}

std::string Place::Address() const {
  return fmt::format("/proc/self/fd/{}/{}", fd_.get(), kSocket);
}

int Place::Connect(Fd* connection) const {
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return -errno;
  // A server that hangs does not accept: this bounds the wait for room in its queue.
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectPatience, sizeof(kConnectPatience));
  const sockaddr_un address = AddressOf(Address());
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EINTR) return -errno;
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
  if (peer.uid != geteuid()) return -EPERM;
  *connection = std::move(fd);
  return 0;
}

int Place::Listen(Fd* listener) const {
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return -errno;
  Remove();
  const sockaddr_un address = AddressOf(Address());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      fchmodat(fd_.get(), kSocket, 0600, 0) != 0 || listen(fd.get(), kBacklog) != 0) {
    return -errno;
  }
  *listener = std::move(fd);
  return 0;
}

void Place::Remove() const { unlinkat(fd_.get(), kSocket, 0); }

int Place::Lock(bool wait, Fd* lock) const {
  Fd fd(openat(fd_.get(), kLock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return -errno;
  while (flock(fd.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno != EINTR) return -errno;
  }
  *lock = std::move(fd);
  return 0;
}

}  // namespace utrace::server
