// What tests of the emulation have: tracees, and tracers that speak the wire themselves.
#ifndef ENGINES_PTRACE_COMPAT_EMULATION_TESTING_H_
#define ENGINES_PTRACE_COMPAT_EMULATION_TESTING_H_

#include <fcntl.h>
#include <linux/ptrace.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/linux/ptrace_requests.h"
#include "engines/ptrace_compat/arguments.h"
#include "engines/ptrace_compat/emulation.h"
#include "gtest/gtest.h"

namespace utrace::ptrace_compat {

constexpr int kGuardSeconds = 30;
constexpr int kEventStopStatus(int signal) { return (signal | 128 << 8) << 8 | 0x7f; }
constexpr int EventStatus(int event) { return (SIGTRAP | event << 8) << 8 | 0x7f; }
constexpr int StopStatus(int signal) { return signal << 8 | 0x7f; }

// As the server's.
class TestHost final : public HostRequests {
 public:
  long Ptrace(TaskView task, int request, uint64_t address, void* data) override {
    return linux_host::PtraceStateRequest(task, request, address, data);
  }
  std::optional<int> DeathStatus(TaskView task) override { return linux_host::DeathStatus(task); }
  void RunInJobControlStop(TaskView task, bool runs) override {
    linux_host::RunInJobControlStop(task, runs);
  }
  std::optional<uint64_t> BlockedSignals(TaskView task) override {
    return linux_host::BlockedSignals(task);
  }
  std::optional<uint32_t> FilterData(TaskView task) override {
    return linux_host::FilterData(task);
  }
  std::optional<unsigned> DebugRegisterAt(uint64_t user_offset) override {
    return linux_host::DebugRegisterAt(user_offset);
  }
  unsigned DebugControlRegister() override { return linux_host::DebugControlRegister(); }
  int SetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t value) override {
    return linux_host::SetDebugRegister(task, owner, index, value);
  }
  int GetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t* value) override {
    return linux_host::GetDebugRegister(task, owner, index, value);
  }
  void DropDebugRegisters(TaskView task, uint64_t owner) override {
    linux_host::DropDebugRegisters(task, owner);
  }
  std::vector<uint64_t> OwnersOfTrap(TaskView task) override {
    return linux_host::OwnersOfTrap(task);
  }
};

// Fails the test, and waits no longer, if `fd` is not readable within the guard.
inline void AwaitReadable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  ASSERT_EQ(poll(&ready, 1, kGuardSeconds * 1000), 1) << "nothing came";
}

// What all puppets of a test can write and the test read.
struct Shared {
  std::atomic<int> handled = 0;  // signals that a handler ran for
  volatile int last_signal = 0;
  volatile int counter = 0;
};

inline Shared* MakeShared() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (memory) Shared;
}

inline Shared* g_shared = nullptr;

inline void CountSignal(int signal) {
  g_shared->last_signal = signal;
  ++g_shared->handled;
}

extern "C" void utrace_test_sigreturn();
asm(R"(
  .text
  .globl utrace_test_sigreturn
utrace_test_sigreturn:
  mov $15, %eax
  syscall
)");

// Has CountSignal handle it, as the kernel alone sees to: a sanitizer runs handlers when it likes.
inline void HandleSignal(int signal) {
  struct {
    void (*handler)(int) = CountSignal;
    unsigned long flags = 0x04000000;  // SA_RESTORER
    void (*restorer)() = utrace_test_sigreturn;
    uint64_t mask = 0;
  } action;
  syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof(action.mask));
}

// A process that does what it is told: one call of `body` for each command, with the command. It is the
// child of a process of its own, which reaps it and tells how it ended.
class Puppet {
 public:
  using Body = std::function<void(char command)>;

  explicit Puppet(const Body& body) {
    int pids[2];
    EXPECT_EQ(pipe2(pids, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(commands_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(done_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(status_, O_CLOEXEC), 0);
    nanny_ = fork();
    if (nanny_ == 0) {
      const pid_t pid = fork();
      if (pid == 0) Run(body);
      (void)!write(pids[1], &pid, sizeof(pid));
      int status = 0;
      while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
      }
      (void)!write(status_[1], &status, sizeof(status));
      for (;;) pause();
    }
    EXPECT_EQ(read(pids[0], &pid_, sizeof(pid_)), static_cast<ssize_t>(sizeof(pid_)));
    for (const int fd : {pids[0], pids[1], commands_[0], done_[1], status_[1]}) close(fd);
    AwaitReading();
  }
  ~Puppet() {
    kill(pid_, SIGKILL);
    kill(nanny_, SIGKILL);
    waitpid(nanny_, nullptr, 0);
    for (const int fd : {commands_[1], done_[0], status_[0]}) close(fd);
  }
  Puppet(const Puppet&) = delete;
  Puppet& operator=(const Puppet&) = delete;

  pid_t pid() const { return pid_; }
  pid_t parent() const { return nanny_; }
  void Tell(char command) const { EXPECT_EQ(write(commands_[1], &command, 1), 1); }
  // Waits until the last command was done.
  void AwaitDone() const {
    AwaitReadable(done_[0]);
    char done = 0;
    EXPECT_EQ(read(done_[0], &done, 1), 1);
  }
  void Do(char command) const {
    Tell(command);
    AwaitDone();
  }
  // How it ended, as its parent saw it.
  int AwaitEnd() const {
    AwaitReadable(status_[0]);
    int status = -1;
    EXPECT_EQ(read(status_[0], &status, sizeof(status)), static_cast<ssize_t>(sizeof(status)));
    return status;
  }

 private:
  // Until it waits for a command: the way there is calls that a test does not reckon with.
  void AwaitReading() const {
    const std::string path = "/proc/" + std::to_string(pid_) + "/syscall";
    const auto guard = std::chrono::steady_clock::now() + std::chrono::seconds(kGuardSeconds);
    int number = -1;
    while (number != SYS_read && std::chrono::steady_clock::now() < guard) {
      std::ifstream file(path);
      if (!(file >> number)) number = -1;  // "running"
    }
    EXPECT_EQ(number, SYS_read) << path;
  }

  [[noreturn]] void Run(const Body& body) const {
    for (;;) {
      char command = 0;
      const ssize_t count = read(commands_[0], &command, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) _exit(0);
      body(command);
      (void)!write(done_[1], &command, 1);
    }
  }

  pid_t nanny_ = 0;
  pid_t pid_ = 0;
  int commands_[2];
  int done_[2];
  int status_[2];
};

struct Answer {
  wire::Reply reply;
  std::vector<std::byte> payload;
  // The result, or a negative errno.
  long result() const { return reply.error != 0 ? -reply.error : static_cast<long>(reply.result); }
};

// A tracing program: a process that sleeps, whose part the test plays.
class TestTracer {
 public:
  // Played by a new process, or by `pid`, which the test keeps.
  explicit TestTracer(Emulation& emulation, pid_t pid = 0, pid_t tid = 0) : emulation_(emulation) {
    pid_ = pid;
    if (pid_ == 0) {
      own_ = true;
      pid_ = fork();
      if (pid_ == 0) {
        for (;;) pause();
      }
    }
    Open(tid == 0 ? pid_ : tid);
  }
  ~TestTracer() {
    Close();
    if (own_) Kill();
  }
  TestTracer(const TestTracer&) = delete;
  TestTracer& operator=(const TestTracer&) = delete;

  pid_t pid() const { return pid_; }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // Closes the connection, as an exec does.
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
    if (server_.joinable()) server_.join();
  }
  void Open(pid_t tid) {
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    socket_ = sockets[0];
    wire::Hello hello;
    hello.pid = pid_;
    hello.tid = tid;
    server_ = std::thread([this, hello, fd = sockets[1], arrival = ++arrivals_] {
      emulation_.Serve(fd, hello, arrival);
    });
    EXPECT_EQ(Receive().reply.error, 0);
  }

  uint64_t Send(wire::RequestHeader& header, std::span<std::byte> request,
                std::span<const std::byte> in = {}) {
    header.serial = ++serial_;
    std::vector<std::byte> packet(request.begin(), request.end());
    packet.insert(packet.end(), in.begin(), in.end());
    EXPECT_EQ(send(socket_, packet.data(), packet.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(packet.size()));
    return header.serial;
  }
  Answer Receive() {
    Answer answer;
    AwaitReadable(socket_);
    std::vector<std::byte> packet(wire::kMaxPayload + 4096);
    const ssize_t count = recv(socket_, packet.data(), packet.size(), MSG_DONTWAIT);
    EXPECT_GE(count, static_cast<ssize_t>(sizeof(answer.reply)));
    if (count < static_cast<ssize_t>(sizeof(answer.reply))) return answer;
    std::memcpy(&answer.reply, packet.data(), sizeof(answer.reply));
    answer.payload.assign(packet.begin() + sizeof(answer.reply), packet.begin() + count);
    return answer;
  }
  Answer Await(uint64_t serial) {
    for (auto it = early_.begin(); it != early_.end(); ++it) {
      if (it->reply.serial != serial) continue;
      Answer found = *it;
      early_.erase(it);
      return found;
    }
    for (;;) {
      Answer answer = Receive();
      if (answer.reply.serial == serial || ::testing::Test::HasFatalFailure()) return answer;
      early_.push_back(answer);
    }
  }
  // Whether an answer is there without waiting.
  bool HasAnswer() const {
    pollfd ready{socket_, POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
  }

  Answer Ask(int request, pid_t pid, uint64_t address = 0, uint64_t data = 0,
             std::span<const std::byte> in = {}, uint32_t out_size = 0) {
    wire::PtraceRequest message;
    message.header.op = wire::Op::kPtrace;
    message.request = request;
    message.pid = pid;
    message.address = address;
    message.data = data;
    message.in_size = static_cast<uint32_t>(in.size());
    message.out_size = out_size;
    return Await(Send(message.header, std::as_writable_bytes(std::span(&message, 1)), in));
  }
  long Ptrace(int request, pid_t pid, uint64_t address = 0, uint64_t data = 0) {
    return Ask(request, pid, address, data).result();
  }
  // What a request fills, or all zero if it fails.
  template <class T>
  T Get(int request, pid_t pid, uint64_t address = 0) {
    T value{};
    const Answer answer = Ask(request, pid, address, 0, {}, sizeof(T));
    EXPECT_GE(answer.result(), 0) << "request " << request;
    std::memcpy(&value, answer.payload.data(), std::min(answer.payload.size(), sizeof(T)));
    return value;
  }
  user_regs_struct Registers(pid_t pid) { return Get<user_regs_struct>(PTRACE_GETREGS, pid); }

  uint64_t BeginWait(int id_type, int id, uint32_t options, int ring = 0) {
    wire::WaitRequest message;
    message.header.op = wire::Op::kWait;
    if (ring != 0) message.header.flags = wire::kRing;
    message.id_type = id_type;
    message.id = id;
    message.options = options;
    message.ring = ring;
    return Send(message.header, std::as_writable_bytes(std::span(&message, 1)));
  }
  static wire::WaitReply AsWait(const Answer& answer) {
    wire::WaitReply reply;
    EXPECT_EQ(answer.reply.error, 0);
    EXPECT_EQ(answer.payload.size(), sizeof(reply));
    if (answer.payload.size() == sizeof(reply)) {
      std::memcpy(&reply, answer.payload.data(), sizeof(reply));
    }
    return reply;
  }
  wire::WaitReply Wait(pid_t pid, uint32_t options = WEXITED | __WALL) {
    return AsWait(Await(BeginWait(pid > 0 ? P_PID : P_ALL, pid, options)));
  }
  // The status of the next event of `pid`.
  int WaitStatus(pid_t pid) {
    const wire::WaitReply reply = Wait(pid);
    EXPECT_EQ(reply.outcome, wire::WaitOutcome::kEvent);
    EXPECT_EQ(reply.pid, pid);
    return reply.status;
  }
  wire::WaitReply Look(pid_t pid) { return Wait(pid, WEXITED | WNOHANG | __WALL); }

  Answer Plain(wire::Op op, pid_t pid, uint64_t value, uint64_t target = 0) {
    wire::PlainRequest message;
    message.header.op = op;
    message.pid = pid;
    message.value = value;
    message.target = target;
    return Await(Send(message.header, std::as_writable_bytes(std::span(&message, 1))));
  }
  void Cancel(uint64_t serial) {
    wire::PlainRequest message;
    message.header.op = wire::Op::kCancel;
    message.header.flags = wire::kNoReply;
    message.target = serial;
    Send(message.header, std::as_writable_bytes(std::span(&message, 1)));
  }

 private:
  static inline std::atomic<uint64_t> arrivals_{0};
  Emulation& emulation_;
  pid_t pid_ = 0;
  bool own_ = false;
  int socket_ = -1;
  uint64_t serial_ = 0;
  std::vector<Answer> early_;
  std::thread server_;
};

class EmulationTest : public ::testing::Test {
 protected:
  EmulationTest() { g_shared = MakeShared(); }
  ~EmulationTest() override { munmap(g_shared, sizeof(Shared)); }

  TestHost host_;
  Emulation emulation_{host_, [](pid_t) { return nullptr; }};
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_EMULATION_TESTING_H_
