#include "server/server.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "core/linux/fault_stack.h"
#include "core/linux/traced_tasks.h"
#include "server/crash.h"
#include "server/packet.h"
#include "server/place.h"
#include "server/session.h"
#include "server/tracers.h"

namespace utrace::server {
namespace {

constexpr rlim_t kMostConnections = 4096;
// Descriptors that are not connections: of engines, of tasks.
constexpr rlim_t kOtherDescriptors = 256;

// How long a server that was told to end may take: more than clients are given to read their last output.
constexpr unsigned kEndingSeconds = 15;

// Tags of what epoll watches; connections follow.
constexpr uint64_t kListenerTag = 0;
constexpr uint64_t kWakeTag = 1;
constexpr uint64_t kSignalTag = 2;
constexpr uint64_t kFirstConnection = 16;

// What asks the server to end; taken by a descriptor.
sigset_t EndingSignals() {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ends, number);
  return ends;
}

// Tracees run on, as after any end of the server.
void EndAtOnce(int) { _exit(1); }

// From here on the calling thread may wait for a task that is not let go before its child has executed a program,
// which may be never: the next signal ends the process wherever its threads are.
void EndAtNextSignal() {
  struct sigaction action {};
  action.sa_handler = EndAtOnce;
  sigset_t ends = EndingSignals();
  sigaddset(&ends, SIGALRM);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGALRM}) sigaction(number, &action, nullptr);
  pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
}

// Lanes wait for the stops of their tracees. The signal that the kernel sends besides would wake the main thread
// each time, for nothing.
void IgnoreStops() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, nullptr);
}

// As many descriptors as there can be.
rlim_t RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

class Server {
 public:
  Server(ServeOptions options, Place place)
      : version_(std::move(options.version)),
        program_(std::move(options.program)),
        log_(options.log),
        place_(std::move(place)),
        listener_(std::move(options.listener)) {}

  // Empty, or what is in the way.
  std::string SetUp();
  int Run();

 private:
  struct Connection {
    uint64_t id = 0;
    pid_t pid = 0;
    std::shared_ptr<Outbox> outbox;
    std::unique_ptr<Session> session;  // once it has said hello
    std::optional<Packet> pending;     // came while another request is being served
  };
  enum class Going : uint8_t { kOn, kEnd };

  void Watch(int fd, uint64_t tag, uint32_t events) const;
  void Wake() const;
  void Accept();
  void AddConnection(Fd socket);
  bool DropOldestSilent();
  void OnEvent(uint64_t id, uint32_t events);
  void Read(Connection& connection);
  bool HandlePacket(Connection& connection, Packet packet);
  bool SayHello(Connection& connection, const Hello& hello, std::vector<Fd> descriptors);
  void BecomeTracer(Connection& connection, const Packet& hello);
  bool Refuse(Connection& connection, std::string reason);
  void Drop(uint64_t id);
  void OnNotified();
  void OnSignal();
  Going EndIfIdle();
  void Log(const std::string& line) const;

  const std::string version_;
  const std::string program_;
  const bool log_;
  const Place place_;
  Fd listener_;
  Fd epoll_;
  Fd wake_;
  Fd signals_;
  rlim_t most_connections_ = kMostConnections;
  bool accepting_ = true;
  bool had_client_ = false;
  bool lock_was_taken_ = false;  // look again whether this can end
  bool ending_ = false;
  uint64_t next_id_ = kFirstConnection;
  std::map<uint64_t, Connection> connections_;  // oldest first
  // Their clients are gone, their engines not yet.
  std::map<uint64_t, std::unique_ptr<Session>> closing_;
  Shared shared_;
  Tracers tracers_{shared_};

  std::mutex mutex_;
  std::vector<uint64_t> notified_;  // guarded by mutex_
};

void Server::Log(const std::string& line) const {
  if (log_) fputs(("utrace serve: " + line + "\n").c_str(), stderr);
}

// ---- Setting up ----------------------------------------------------------------------------------

std::string Server::SetUp() {
  const auto failed = [](const char* what) { return fmt::format("{}: {}", what, strerror(errno)); };
  const bool started_by_command = listener_.valid();
  if (!started_by_command) {
    Fd lock;
    if (const int status = place_.Lock(/*wait=*/true, &lock); status != 0) {
      return fmt::format("cannot lock the directory of {}: {}", place_.socket_name(),
                         strerror(-status));
    }
    Fd other;
    const int status = place_.Connect(&other);
    if (status == 0) return fmt::format("there is a server already, at {}", place_.socket_name());
    if (status != -ENOENT && status != -ECONNREFUSED) {
      return fmt::format("cannot use {}: {}", place_.socket_name(), strerror(-status));
    }
    if (const int listening = place_.Listen(&listener_); listening != 0) {
      return fmt::format("cannot make the socket {}: {}", place_.socket_name(),
                         strerror(-listening));
    }
  }
  had_client_ = started_by_command;
  const rlim_t descriptors = RaiseDescriptorLimit();
  // A client may have several: its connection, its standard error, a file.
  if (descriptors != RLIM_INFINITY && descriptors > kOtherDescriptors) {
    most_connections_ = std::min(kMostConnections, (descriptors - kOtherDescriptors) / 3);
  }
  const sigset_t ends = EndingSignals();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  IgnoreStops();
  linux_host::UseFaultStack();
  ReportCrashes();

  epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  signals_.Reset(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid() || !signals_.valid()) return failed("cannot set up");
  Watch(listener_.get(), kListenerTag, EPOLLIN);
  Watch(wake_.get(), kWakeTag, EPOLLIN);
  Watch(signals_.get(), kSignalTag, EPOLLIN);
  shared_.wake = [this] { Wake(); };
  shared_.tracers_of = [this](pid_t tid) { return tracers_.TracersOf(tid); };
  shared_.notify = [this](uint64_t session) {
    {
      const std::lock_guard lock(mutex_);
      notified_.push_back(session);
    }
    Wake();
  };
  Log(fmt::format("listening at {} (pid {})", place_.socket_name(), getpid()));
  return "";
}

void Server::Watch(int fd, uint64_t tag, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Server::Wake() const {
  const uint64_t one = 1;
  // A counter that is full wakes as well.
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

// ---- The loop ------------------------------------------------------------------------------------

int Server::Run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    // Somebody who had the lock may have gone without a word.
    const int patience = lock_was_taken_ ? 1000 : -1;
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), patience);
    for (int n = 0; n < count; ++n) {
      const uint64_t tag = events[n].data.u64;
      if (tag == kListenerTag) {
        Accept();
      } else if (tag == kWakeTag) {
        uint64_t wakes = 0;
        while (read(wake_.get(), &wakes, sizeof(wakes)) > 0) {
        }
        OnNotified();
      } else if (tag == kSignalTag) {
        OnSignal();
      } else {
        OnEvent(tag, events[n].events);
      }
    }
    if (EndIfIdle() == Going::kEnd) return 0;
  }
}

void Server::Accept() {
  for (;;) {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.valid()) {
      AddConnection(std::move(socket));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if ((errno == EMFILE || errno == ENFILE) && !DropOldestSilent()) {
      // Until a descriptor is free again.
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
      accepting_ = false;
    }
    return;
  }
}

void Server::AddConnection(Fd socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
      peer.uid != geteuid()) {
    Log(fmt::format("user {} was turned away", peer.uid));
    return;
  }
  const uint64_t id = next_id_++;
  Connection connection{
      .id = id, .pid = peer.pid, .outbox = std::make_shared<Outbox>(std::move(socket))};
  if (connections_.size() >= most_connections_ && !DropOldestSilent()) {
    connection.outbox->Post(
        {.kind = Reply::Kind::kError,
         .text = fmt::format("the server has {} clients, and takes no more", connections_.size())});
    return;
  }
  connection.outbox->Post({.kind = Reply::Kind::kGreeting,
                           .pid = getpid(),
                           .number = kProtocol,
                           .text = version_,
                           .lines = {program_}});
  Watch(connection.outbox->socket(), id, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  connections_.emplace(id, std::move(connection));
}

// Who has connected and never said hello makes room for others.
bool Server::DropOldestSilent() {
  for (const auto& [id, connection] : connections_) {
    if (connection.session != nullptr) continue;
    Log(fmt::format("a silent client (pid {}) was dropped", connection.pid));
    Drop(id);
    return true;
  }
  return false;
}

void Server::OnEvent(uint64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  // A connection that is half closed is closed: nothing is said to who listens no more, or the reverse.
  if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) {
    Drop(id);
    return;
  }
  if ((events & EPOLLOUT) != 0) connection.outbox->Flush();
  if ((events & EPOLLIN) != 0) Read(connection);
}

// ---- Messages --------------------------------------------------------------------------------------

// Takes messages until one has to wait for the answer to the one before. Events are edges: whoever makes
// room calls this again.
void Server::Read(Connection& connection) {
  const uint64_t id = connection.id;
  while (!connection.pending) {
    Packet packet;
    switch (ReceivePacket(connection.outbox->socket(), /*wait=*/false, &packet)) {
      case Received::kNothing:
        return;
      case Received::kEnd:
        Drop(id);
        return;
      case Received::kMalformed:
        Refuse(connection, "the message is too long, or has too much attached");
        return;
      case Received::kPacket:
        if (!HandlePacket(connection, std::move(packet))) return;
    }
  }
}

// False if the connection is gone.
bool Server::HandlePacket(Connection& connection, Packet packet) {
  if (connection.session == nullptr && Tracers::IsHello(packet.text)) {
    BecomeTracer(connection, packet);
    return false;
  }
  std::string error;
  std::optional<Request> request = ParseRequest(packet.text, &error);
  if (request && packet.descriptors.size() != DescriptorsOf(*request)) {
    error = fmt::format("{} descriptors came, not {}", packet.descriptors.size(),
                        DescriptorsOf(*request));
    request.reset();
  }
  if (!request) return Refuse(connection, error);
  if (connection.session == nullptr) {
    const auto* hello = std::get_if<Hello>(&*request);
    if (hello == nullptr) return Refuse(connection, "a client says hello first");
    return SayHello(connection, *hello, std::move(packet.descriptors));
  }
  if (!connection.session->answered()) {
    if (std::holds_alternative<EndRequest>(*request)) connection.session->Cancel();
    connection.pending = std::move(packet);
    return true;
  }
  try {
    connection.session->Ask(std::move(*request), std::move(packet.descriptors));
  } catch (const std::system_error& failure) {
    return Refuse(connection, fmt::format("the server can start no thread: {}", failure.what()));
  }
  return true;
}

bool Server::SayHello(Connection& connection, const Hello& hello, std::vector<Fd> descriptors) {
  if (hello.protocol != kProtocol) {
    return Refuse(connection, fmt::format("the running server (pid {}, version {}) speaks protocol "
                                          "{}, this utrace speaks {}",
                                          getpid(), version_, kProtocol, hello.protocol));
  }
  if (!AddClientToTell(connection.outbox->socket())) {
    return Refuse(connection, "the server has too many clients");
  }
  connection.session = std::make_unique<Session>(
      shared_, connection.id, ClientIdentity{.pid = connection.pid, .command = hello.command},
      connection.outbox, std::move(descriptors[0]));
  had_client_ = true;
  Log(fmt::format("{} is here", connection.session->client().Describe()));
  return true;
}

// The connection is a tracing thread's, and leaves this loop.
void Server::BecomeTracer(Connection& connection, const Packet& hello) {
  if (!hello.descriptors.empty()) {
    Refuse(connection, "a tracing thread passes no descriptors");
    return;
  }
  const uint64_t id = connection.id;
  const pid_t pid = connection.pid;
  // The greeting is on its way already: a socket's queue has room for more than that.
  Fd socket = connection.outbox->HandOver();
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.outbox->socket(), nullptr);
  std::string reason = "no descriptor is left";
  if (socket.valid()) reason = tracers_.Serve(&socket, pid, hello.text);
  if (reason.empty()) {
    had_client_ = true;
    Log(fmt::format("a thread of process {} traces", pid));
  } else {
    Log(fmt::format("client with pid {}: {}", pid, reason));
  }
  connections_.erase(id);
}

bool Server::Refuse(Connection& connection, std::string reason) {
  Log(fmt::format("client with pid {}: {}", connection.pid, reason));
  connection.outbox->Post({.kind = Reply::Kind::kError, .text = std::move(reason)});
  Drop(connection.id);
  return false;
}

void Server::Drop(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection connection = std::move(found->second);
  connections_.erase(found);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.outbox->socket(), nullptr);
  RemoveClientToTell(connection.outbox->socket());
  connection.outbox->Close();
  if (connection.session != nullptr) {
    Log(fmt::format("{} is gone", connection.session->client().Describe()));
    connection.session->Close();
    if (!connection.session->ended()) closing_.emplace(id, std::move(connection.session));
  }
  if (!accepting_ && !ending_) {
    accepting_ = true;
    Watch(listener_.get(), kListenerTag, EPOLLIN);
  }
}

void Server::OnNotified() {
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    ids.swap(notified_);
  }
  for (const uint64_t id : ids) {
    const auto leaving = closing_.find(id);
    if (leaving != closing_.end() && leaving->second->ended()) closing_.erase(leaving);
    const auto found = connections_.find(id);
    if (found == connections_.end() || !found->second.session->answered()) continue;
    Connection& connection = found->second;
    if (std::optional<Packet> pending = std::exchange(connection.pending, std::nullopt)) {
      if (!HandlePacket(connection, std::move(*pending))) continue;
    }
    Read(connection);
  }
}

// ---- The end -------------------------------------------------------------------------------------

void Server::OnSignal() {
  signalfd_siginfo info{};
  if (read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
  ending_ = true;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, signals_.get(), nullptr);
  EndAtNextSignal();
  alarm(kEndingSeconds);
  Log("ending");
  Fd lock;
  place_.Lock(/*wait=*/true, &lock);
  place_.Remove();
  tracers_.EndAll();
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  listener_.Reset();
  while (!connections_.empty()) {
    const auto& [id, connection] = *connections_.begin();
    connection.outbox->Post({.kind = Reply::Kind::kNote, .text = "the server was told to end"});
    Drop(id);
  }
  for (const TracedTask& task : linux_host::TracedTasks()) {
    for (const AttachedEngine& engine : task.engines) {
      const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
      if (owner != nullptr && owner->about().kind == EngineOwner::Kind::kStop) {
        utrace_control(task.task.get(), engine.engine.get(), UTRACE_DETACH);
      }
    }
  }
}

Server::Going Server::EndIfIdle() {
  lock_was_taken_ = false;
  if (!had_client_ || !connections_.empty() || !closing_.empty() || !tracers_.Idle()) {
    return Going::kOn;
  }
  if (!ending_) {
    if (!linux_host::TracedTasks().empty()) return Going::kOn;
    Fd lock;
    const int locked = place_.Lock(/*wait=*/false, &lock);
    // Where the directory itself was removed nobody starts one there, nor finds this one.
    if (locked != 0 && locked != -ENOENT) {
      lock_was_taken_ = true;
      return Going::kOn;
    }
    // Nobody is starting a server now. Who has connected meanwhile is served; who connects from here
    // on finds the connection closed before the greeting, and starts another server.
    Accept();
    if (!connections_.empty() || !tracers_.Idle()) return Going::kOn;
    place_.Remove();
    listener_.Reset();
    EndAtNextSignal();
  }
  linux_host::AwaitReleased();
  Log("ended: the last client and the last engine are gone");
  return Going::kEnd;
}

}  // namespace

int Serve(ServeOptions options) {
  std::string error;
  std::optional<Place> place = Place::Open(&error);
  // Never destroyed: tracer threads may use it until the process ends.
  Server* server = nullptr;
  if (place) {
    // Before there is another thread, which would take them: a server begins with several.
    const sigset_t ends = EndingSignals();
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    server = new Server(std::move(options), std::move(*place));
    error = server->SetUp();
  }
  if (!error.empty()) {
    fputs(fmt::format("utrace serve: {}\n", error).c_str(), stderr);
    return 1;
  }
  return server->Run();
}

}  // namespace utrace::server
