#include "engines/ptrace_compat/client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/signals.h"
#include "engines/ptrace_compat/client/thread.h"

namespace utrace::ptrace_compat::client {
namespace {

constexpr long kFirstHigh = 1000;

// Descriptors plus one; zero is a free place.
std::atomic<int> g_enrolled[256];
std::atomic<int> g_kept{0};
// A server did not answer, or not sensibly: this program asks none any more.
std::atomic<int> g_given_up{0};
// It was told that there is no server, and none has answered since.
std::atomic<bool> g_told{false};
// Another number whenever one of these may have been closed by the program.
std::atomic<uint32_t> g_gone{0};

template <class Type>
long Address(Type* pointer) {
  return reinterpret_cast<long>(pointer);
}

timespec TimeOf(int milliseconds) {
  return {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
}

// Whether there is something to receive within the server's time; also where one cannot look.
bool AwaitPacket(int fd) {
  long ready = 0;
  do {
    pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
    timespec patience = TimeOf(Patience());
    ready = Raw(SYS_ppoll, Address(&poll), 1, Address(&patience), 0);
  } while (ready == -EINTR);
  return ready != 0;
}

int CloseRaw(int fd) { return static_cast<int>(Raw(SYS_close, fd)); }

// This thread's id, also where a filter of the program's does not let it ask, as strace tries out.
pid_t OwnTid() {
  const long tid = Raw(SYS_gettid);
  if (tid > 0) return static_cast<pid_t>(tid);
  char link[64];
  const long length =
      Raw(SYS_readlinkat, AT_FDCWD, Address("/proc/thread-self"), Address(link), sizeof(link) - 1);
  if (length <= 0) return 0;
  link[length] = '\0';
  const char* const slash = strrchr(link, '/');
  return slash == nullptr ? 0 : atoi(slash + 1);
}

// A socket connected to the server, whatever the length of its name.
long Connect(const char* directory) {
  const long at =
      Raw(SYS_openat, AT_FDCWD, Address(directory), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (at < 0) return at;
  const long fd = Raw(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  long status = fd;
  if (fd >= 0) {
    Text name;
    name.Add("/proc/self/fd/").AddNumber(at).Add("/server");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.get(), name.size());
    // Of connecting, and of all that is sent.
    const timespec time = TimeOf(Patience());
    const timeval patience{.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
    Raw(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, Address(&patience), sizeof(patience));
    status = Raw(SYS_connect, fd, Address(&address), sizeof(address));
    if (status < 0) CloseRaw(static_cast<int>(fd));
  }
  CloseRaw(static_cast<int>(at));
  if (status == -EAGAIN) return -ETIMEDOUT;
  return status < 0 ? status : fd;
}

bool IsErrno(int error) { return error >= 0 && error < 4096; }

bool IsFinal(int status) {
  return status == -ETIMEDOUT || status == -EPROTO || status == -EPROTONOSUPPORT;
}

void ComplainOnce(const char* text) {
  if (!g_told.exchange(true)) Complain(text);
}

}  // namespace

namespace {

long DuplicateHigh(int fd) {
  rlimit limit{};
  Raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, Address(&limit));
  long first = kFirstHigh;
  if (limit.rlim_cur <= kFirstHigh + 16) first = static_cast<long>(limit.rlim_cur) * 3 / 4;
  return Raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, first);
}

}  // namespace

int MoveUp(int fd) {
  const long high = DuplicateHigh(fd);
  if (high >= 0) CloseRaw(fd);
  return static_cast<int>(high);
}

int Connection::Open(Enrol enrol) {
  const char* const directory = ServerDirectory();
  if (directory == nullptr) return -ENOENT;
  if (const int reason = g_given_up; reason != 0) return reason;
  const long connected = Connect(directory);
  if (connected == -ETIMEDOUT) g_given_up = -ETIMEDOUT;
  if (connected < 0) return static_cast<int>(connected);
  fd_ = static_cast<int>(connected);
  const int high = MoveUp(fd_);
  if (high >= 0) fd_ = high;
  ucred peer{};
  socklen_t size = sizeof(peer);
  struct stat stat {};
  int status = 0;
  if (Raw(SYS_getsockopt, fd_, SOL_SOCKET, SO_PEERCRED, Address(&peer), Address(&size)) != 0 ||
      peer.uid != static_cast<uid_t>(Raw(SYS_geteuid))) {
    status = -EPERM;
  }
  if (status == 0) status = static_cast<int>(Raw(SYS_fstat, fd_, Address(&stat)));
  device_ = stat.st_dev;
  inode_ = stat.st_ino;
  checked_ = g_gone.load(std::memory_order_acquire);
  if (status == 0) status = Greet();
  if (status != 0) {
    CloseRaw(fd_);
    fd_ = -1;
    if (IsFinal(status)) g_given_up = status;
    return status;
  }
  if (enrol == Enrol::kNo) return 0;
  for (int n = 0; n < static_cast<int>(sizeof(g_enrolled) / sizeof(g_enrolled[0])); ++n) {
    int free = 0;
    if (!g_enrolled[n].compare_exchange_strong(free, fd_ + 1)) continue;
    place_ = n;
    break;
  }
  return 0;
}

// The server speaks first, to whoever it is; then this says what kind of client it is.
int Connection::Greet() {
  if (!AwaitPacket(fd_)) return -ETIMEDOUT;
  char greeting[2048];
  const long size = Raw(SYS_recvfrom, fd_, Address(greeting), sizeof(greeting) - 1, 0);
  if (size <= 0) return -ECONNRESET;
  greeting[size] = '\0';
  // The socket's peer is whoever made the listening socket; the server names itself.
  const char* const pid = strstr(greeting, "\"pid\":");
  server_ = pid != nullptr ? atoi(pid + strlen("\"pid\":")) : 0;
  if (greeting[0] != '{' || server_ <= 0) return -EPROTO;
  const wire::Hello hello{.pid = static_cast<pid_t>(Raw(SYS_getpid)), .tid = OwnTid()};
  const long sent = Raw(SYS_sendto, fd_, Address(&hello), sizeof(hello), MSG_NOSIGNAL);
  if (sent != sizeof(hello)) return sent == -EAGAIN ? -ETIMEDOUT : -ECONNRESET;
  if (!AwaitPacket(fd_)) return -ETIMEDOUT;
  wire::Reply reply;
  const long received = Raw(SYS_recvfrom, fd_, Address(&reply), sizeof(reply), MSG_TRUNC);
  if (received <= 0) return -ECONNRESET;
  if (received != sizeof(reply) || reply.serial != 0 || !IsErrno(reply.error)) return -EPROTO;
  return reply.error == EPROTO ? -EPROTONOSUPPORT : -reply.error;
}

bool Connection::IsStillIt() {
  // It may have made way.
  if (place_ >= 0) fd_ = g_enrolled[place_] - 1;
  struct stat stat {};
  return Raw(SYS_fstat, fd_, Address(&stat)) == 0 && stat.st_dev == device_ &&
         stat.st_ino == inode_;
}

// Whatever has this number now is the program's.
void Connection::Forget() {
  if (place_ >= 0) g_enrolled[place_] = 0;
  place_ = -1;
  fd_ = -1;
  Complain("the program has closed the connection to the server; another one is made");
}

bool Connection::IsInDoubt() const { return g_gone.load(std::memory_order_acquire) != checked_; }

bool Connection::Check() {
  if (fd_ < 0) return false;
  const uint32_t gone = g_gone.load(std::memory_order_acquire);
  if (gone == checked_) return true;
  if (!IsStillIt()) {
    Forget();
    return false;
  }
  checked_ = gone;
  return true;
}

void Connection::Close() {
  if (fd_ < 0) return;
  if (place_ >= 0) g_enrolled[place_] = 0;
  place_ = -1;
  CloseRaw(fd_);
  fd_ = -1;
}

void Connection::Lose(Fault fault) {
  if (fd_ < 0) return;
  if (!IsStillIt()) {
    Forget();
    return;
  }
  Close();
  ++losses_;
  Text text;
  text.Add("the server (pid ").AddNumber(server_);
  switch (fault) {
    case Fault::kGone:
      text.Add(") is gone; the tracees run on untraced");
      break;
    case Fault::kSilent:
      g_given_up = -ETIMEDOUT;
      text.Add(") does not answer; it is asked no more, and the tracees run on untraced");
      break;
    case Fault::kSenseless:
      g_given_up = -EPROTO;
      text.Add(") sends what is no answer; it is asked no more, and the tracees run on untraced");
      break;
  }
  ComplainOnce(text.get());
}

int Connection::Refuse() {
  Lose(Fault::kSenseless);
  return -ENOTCONN;
}

int Connection::Await() {
  if (fd_ < 0) return -ENOTCONN;
  if (AwaitPacket(fd_)) return 0;
  Lose(Fault::kSilent);
  return -ENOTCONN;
}

int Connection::Send(const void* head, size_t head_size, const void* body, size_t body_size) {
  if (fd_ < 0) return -ENOTCONN;
  iovec parts[2] = {{.iov_base = const_cast<void*>(head), .iov_len = head_size},
                    {.iov_base = const_cast<void*>(body), .iov_len = body_size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = body_size != 0 ? 2 : 1;
  long sent = 0;
  do {
    sent = Raw(SYS_sendmsg, fd_, Address(&message), MSG_NOSIGNAL);
  } while (sent == -EINTR);
  if (sent >= 0) return 0;
  if (sent == -EFAULT) return -EFAULT;
  Lose(sent == -EAGAIN ? Fault::kSilent : Fault::kGone);
  return -ENOTCONN;
}

int Connection::Receive(uint64_t serial, wire::Reply* reply, void* body, size_t body_size) {
  if (const int status = Await(); status != 0) return status;
  iovec parts[2] = {{.iov_base = reply, .iov_len = sizeof(*reply)},
                    {.iov_base = body, .iov_len = body_size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  long received = 0;
  do {
    received = Raw(SYS_recvmsg, fd_, Address(&message), MSG_TRUNC);
  } while (received == -EINTR);
  return Judge(received, serial, *reply, body_size);
}

int Connection::Judge(ssize_t received, uint64_t serial, const wire::Reply& reply, size_t room) {
  if (received == -EFAULT || received == -EINTR) return static_cast<int>(received);
  if (received <= 0) {
    Lose(Fault::kGone);
    return -ENOTCONN;
  }
  const auto size = static_cast<size_t>(received);
  if (size < sizeof(reply) || reply.serial != serial || !IsErrno(reply.error) ||
      reply.size > room || size != sizeof(reply) + reply.size) {
    return Refuse();
  }
  if (g_told.load(std::memory_order_relaxed)) g_told = false;
  return 0;
}

void ComplainOfNone(int status) {
  // There was one, and that it is lost was told.
  if (status == -ENOTCONN) return;
  Text text;
  text.Add("there is no server to ask: ");
  switch (status) {
    case -ENOENT:
    case -ECONNREFUSED:
      text.Add("none listens");
      break;
    case -ECONNRESET:
      text.Add("it has hung up");
      break;
    case -ETIMEDOUT:
      text.Add("it does not answer");
      break;
    case -EPROTO:
      text.Add("what answers is none");
      break;
    case -EPROTONOSUPPORT:
      text.Add("it is of another version than this program was wrapped by");
      break;
    case -EPERM:
      text.Add("it is another user's");
      break;
    default:
      text.Add("errno ").AddNumber(-status);
  }
  ComplainOnce(text.get());
}

void KeepOpen(int fd) { g_kept = fd + 1; }

void CloseKeptOnExec() {
  const int fd = g_kept - 1;
  if (fd >= 0) Raw(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

bool IsLibrarys(long fd) {
  return fd >= 0 && fd <= INT_MAX &&
         FirstOfLibrary(static_cast<unsigned>(fd), static_cast<unsigned>(fd)) >= 0;
}

long FirstOfLibrary(unsigned first, unsigned last) {
  long lowest = -1;
  const auto look = [&](const std::atomic<int>& descriptor) {
    const long fd = descriptor.load(std::memory_order_relaxed) - 1;
    if (fd >= static_cast<long>(first) && fd <= static_cast<long>(last) &&
        (lowest < 0 || fd < lowest))
      lowest = fd;
  };
  look(g_kept);
  for (const std::atomic<int>& enrolled : g_enrolled) look(enrolled);
  return lowest;
}

void MakeWay(int fd) {
  const auto move = [fd](std::atomic<int>& descriptor) {
    if (descriptor != fd + 1) return;
    const long flags = Raw(SYS_fcntl, fd, F_GETFD);
    const long high = DuplicateHigh(fd);
    if (high >= 0) Raw(SYS_fcntl, high, F_SETFD, flags);
    if (high >= 0) descriptor = static_cast<int>(high) + 1;
  };
  move(g_kept);
  for (std::atomic<int>& enrolled : g_enrolled) move(enrolled);
  g_gone.fetch_add(1, std::memory_order_release);
}

void NoteGone(long first, long last) {
  for (const std::atomic<int>& enrolled : g_enrolled) {
    const long fd = enrolled.load(std::memory_order_relaxed) - 1;
    // As the kernel takes them, without signs.
    if (fd >= 0 && fd >= static_cast<long>(static_cast<unsigned>(first)) &&
        fd <= static_cast<long>(static_cast<unsigned>(last))) {
      g_gone.fetch_add(1, std::memory_order_release);
      return;
    }
  }
}

void ForgetConnections() {
  for (std::atomic<int>& enrolled : g_enrolled) {
    const int fd = enrolled.exchange(0) - 1;
    if (fd >= 0) CloseRaw(fd);
  }
  ForgetThread();
}

bool HasConnections() {
  for (const std::atomic<int>& enrolled : g_enrolled) {
    if (enrolled.load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

bool IsOnlyConnection() {
  int count = 0;
  for (const std::atomic<int>& enrolled : g_enrolled) {
    if (enrolled.load(std::memory_order_relaxed) != 0) ++count;
  }
  return count == 1;
}

void TellSigchldFlags(uint64_t flags) {
  wire::PlainRequest request;
  request.header = {.op = wire::Op::kSigchld, .flags = wire::kNoReply};
  request.value = flags;
  for (const std::atomic<int>& enrolled : g_enrolled) {
    const int fd = enrolled - 1;
    // One packet is sent whole, whatever its thread is sending.
    if (fd >= 0) Raw(SYS_sendto, fd, Address(&request), sizeof(request), MSG_NOSIGNAL);
  }
}

}  // namespace utrace::ptrace_compat::client
