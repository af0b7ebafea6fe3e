// Puppets as processes of their own: starting and ending the nanny, the channels to every thread, and
// what the kernel says about them.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "conformance/kit/puppet_host.h"
#include "conformance/kit/target.h"

extern char** environ;

namespace utrace::kit {
namespace {

constexpr int kControlInNanny = 3;

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  int get() const { return fd_; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

std::string ErrorText(const std::string& what) { return what + ": " + strerror(errno); }

std::string Readable(const std::string& path) {
  char resolved[PATH_MAX];
  if (access(path.c_str(), X_OK) != 0 || realpath(path.c_str(), resolved) == nullptr) return "";
  return resolved;
}

struct Ends {
  Fd ours;
  Fd theirs;
};

Ends Channel(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) Broken(ErrorText("socketpair"));
  return {Fd(ends[0]), Fd(ends[1])};
}

Ends Pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Broken(ErrorText("pipe"));
  return {Fd(ends[1]), Fd(ends[0])};
}

pid_t Start(const std::string& program, int control) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // Whoever reads the kit's output must not be kept waiting by a puppet that has it open.
  for (int fd = 0; fd < 3; ++fd) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, control, kControlInNanny);
  // A session of its own: a key on the kit's terminal is no signal to the puppets.
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  char name[] = "puppet";
  char role[] = "nanny";
  char* arguments[] = {name, role, nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) Broken("cannot start " + program + ": " + strerror(error));
  return pid;
}

void SendDescriptors(int socket, const std::vector<int>& descriptors) {
  char byte = 0;
  iovec data = {&byte, 1};
  std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
  memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) Broken(ErrorText("talking to the nanny"));
}

}  // namespace

std::string PuppetPath() {
  if (const char* named = getenv("UTRACE_PUPPET"); named != nullptr && *named != '\0') {
    const std::string path = Readable(named);
    if (path.empty()) Broken("UTRACE_PUPPET names " + std::string(named) + ": not executable");
    return path;
  }
  char self[PATH_MAX] = {};
  if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) Broken(ErrorText("/proc/self/exe"));
  const std::string program = self;
  const std::string directory = program.substr(0, program.rfind('/'));
  // Beside the runner in an installation; in Bazel's tree among the run files of this binary or of
  // the one that started it (the working directory of a test), or in the package next door.
  std::vector<std::string> candidates = {
      directory + "/puppet",           directory + "/utrace-puppet",
      directory + "/../puppet/puppet", program + ".runfiles/utrace/conformance/puppet/puppet",
      "conformance/puppet/puppet",
  };
  if (const char* runfiles = getenv("RUNFILES_DIR"); runfiles != nullptr) {
    candidates.push_back(std::string(runfiles) + "/utrace/conformance/puppet/puppet");
  }
  for (const std::string& candidate : candidates) {
    const std::string path = Readable(candidate);
    if (!path.empty() && !std::filesystem::is_directory(path)) return path;
  }
  Broken("no puppet program beside " + program + "; name it by UTRACE_PUPPET");
}

namespace {

std::string ProcPath(Named thread, std::string_view file) {
  return "/proc/" + std::to_string(thread.pid) + "/task/" + std::to_string(thread.tid) + "/" +
         std::string(file);
}

// The line of a status file that begins with `key`, without it; empty if there is none.
std::string StatusLine(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) return line.substr(key.size());
  }
  return "";
}

std::string ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

class LivePuppets final : public PuppetHost {
 public:
  LivePuppets();
  ~LivePuppets() override { End(); }

  void End() override;
  pid_t ParentPid() const override { return pid_; }

  utrace_target_slot& Slot(int slot) override { return shared_->slots[slot].common; }
  uint64_t SlotAddress(int slot) const override {
    return puppet::kSharedAddress +
           static_cast<uint64_t>(reinterpret_cast<const char*>(&shared_->slots[slot].common) -
                                 reinterpret_cast<const char*>(shared_));
  }
  const Addresses& addresses() const override { return shared_->addresses; }
  RegisterArea Registers() override {
    return {&shared_->registers_go, &shared_->registers_in, &shared_->registers_out};
  }

  bool Spawn(int slot) override {
    Slot(slot).tid = puppet::kNannyChild;
    return false;
  }
  void Send(int slot, const puppet::Command& command) override;
  bool Receive(int slot, puppet::Reply* reply) override;
  void AwaitReply(int slot, int round, std::chrono::nanoseconds left) override;
  void Feed(int slot, std::string_view bytes) override;

  long Signal(Named thread, bool to_thread, const siginfo_t& info) override;
  char State(Named thread) const override;
  bool SleepsIn(Named thread, int slot, uint32_t sent, long nr) const override;
  std::string Where(Named thread) const override { return ReadLine(ProcPath(thread, "syscall")); }
  ContextSwitches Switches(Named thread) const override;
  pid_t TracerPid(Named thread) const override {
    return static_cast<pid_t>(
        strtol(StatusLine(ProcPath(thread, "status"), "TracerPid:").c_str(), nullptr, 10));
  }
  int64_t ClockNs() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
  }

 private:
  pid_t pid_ = 0;
  Fd control_;  // its end of file tells the nanny to end everything
  puppet::Shared* shared_ = nullptr;
  std::vector<Fd> channels_;  // by slot
  std::vector<Fd> pipes_;     // write ends, by slot
};

LivePuppets::LivePuppets() {
  SetStep("starting the nanny");
  const std::string program = PuppetPath();

  const Fd memory(memfd_create("utrace-puppet", MFD_CLOEXEC));
  if (memory.get() < 0 || ftruncate(memory.get(), sizeof(puppet::Shared)) != 0) {
    Broken(ErrorText("memory shared with puppets"));
  }
  void* mapped =
      mmap(nullptr, sizeof(puppet::Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) Broken(ErrorText("memory shared with puppets"));
  shared_ = static_cast<puppet::Shared*>(mapped);
  if (program.size() >= sizeof(shared_->puppet_path)) Broken("path too long: " + program);
  strcpy(shared_->puppet_path, program.c_str());

  std::vector<Fd> theirs;
  std::vector<int> descriptors = {memory.get()};
  for (int i = 0; i < puppet::kSlots; ++i) {
    Ends channel = Channel(SOCK_SEQPACKET);
    const int on = 1;
    setsockopt(channel.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    descriptors.push_back(channel.theirs.get());
    channels_.push_back(std::move(channel.ours));
    theirs.push_back(std::move(channel.theirs));
  }
  for (int i = 0; i < puppet::kSlots; ++i) {
    Ends pipe = Pipe();
    descriptors.push_back(pipe.theirs.get());
    pipes_.push_back(std::move(pipe.ours));
    theirs.push_back(std::move(pipe.theirs));
  }
  Ends control = Channel(SOCK_STREAM);
  SendDescriptors(control.ours.get(), descriptors);
  pid_ = Start(program, control.theirs.get());
  control_ = std::move(control.ours);
}

void LivePuppets::End() {
  if (pid_ != 0) {
    control_.Reset();
    // Nobody else waits for the nanny. It cannot end before every puppet has, which a wrong
    // implementation may prevent (a zombie that its tracer never lets go); then it is killed.
    int status = 0;
    const bool ended = PollUntil(
        [&] {
          const pid_t waited = waitpid(pid_, &status, WNOHANG);
          return waited == pid_ || (waited < 0 && errno == ECHILD);
        },
        std::chrono::milliseconds(5000));
    if (!ended) {
      kill(pid_, SIGKILL);
      PollUntil([&] { return waitpid(pid_, &status, WNOHANG) != 0; },
                std::chrono::milliseconds(2000));
    }
    pid_ = 0;
  }
  if (shared_ != nullptr) munmap(shared_, sizeof(puppet::Shared));
  shared_ = nullptr;
}

void LivePuppets::Send(int slot, const puppet::Command& command) {
  const int channel = channels_[static_cast<size_t>(slot)].get();
  if (send(channel, &command, sizeof(command), MSG_NOSIGNAL) != sizeof(command)) {
    StepFailed(CurrentStep() + ": cannot send: " + strerror(errno));
  }
}

bool LivePuppets::Receive(int slot, puppet::Reply* reply) {
  iovec data = {reply, sizeof(*reply)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const int channel = channels_[static_cast<size_t>(slot)].get();
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != sizeof(*reply)) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_CREDENTIALS) {
    ucred sender;
    memcpy(&sender, CMSG_DATA(header), sizeof(sender));
    reply->pid = sender.pid;
  }
  return true;
}

void LivePuppets::AwaitReply(int slot, int, std::chrono::nanoseconds left) {
  // In slices: whoever waits also looks whether the thread died.
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
  pollfd ready = {channels_[static_cast<size_t>(slot)].get(), POLLIN, 0};
  poll(&ready, 1, static_cast<int>(std::clamp<int64_t>(ms, 1, 20)));
}

void LivePuppets::Feed(int slot, std::string_view bytes) {
  const ssize_t written =
      write(pipes_[static_cast<size_t>(slot)].get(), bytes.data(), bytes.size());
  if (written != static_cast<ssize_t>(bytes.size())) Broken("feeding a puppet's pipe");
}

long LivePuppets::Signal(Named thread, bool to_thread, const siginfo_t& info) {
  int result = 0;
  if (info.si_code == SI_QUEUE) {
    result = sigqueue(thread.pid, info.si_signo, info.si_value);
  } else if (to_thread) {
    result = static_cast<int>(syscall(SYS_tgkill, thread.pid, thread.tid, info.si_signo));
  } else {
    result = kill(thread.pid, info.si_signo);
  }
  return result == 0 ? 0 : -errno;
}

char LivePuppets::State(Named thread) const {
  const std::string line = ReadLine(ProcPath(thread, "stat"));
  // The name in parentheses may hold anything; the state is behind the last one.
  const size_t end = line.rfind(')');
  return end == std::string::npos || end + 2 >= line.size() ? '-' : line[end + 2];
}

bool LivePuppets::SleepsIn(Named thread, int, uint32_t, long nr) const {
  // "NUMBER ARGUMENTS... SP PC", "-1 SP PC" or "running".
  const std::string call = ReadLine(ProcPath(thread, "syscall"));
  if (call.empty() || call[0] == 'r') return false;
  return strtol(call.c_str(), nullptr, 10) == nr;
}

ContextSwitches LivePuppets::Switches(Named thread) const {
  ContextSwitches switches;
  const std::string path = ProcPath(thread, "status");
  switches.voluntary = strtol(StatusLine(path, "voluntary_ctxt_switches:").c_str(), nullptr, 10);
  switches.involuntary =
      strtol(StatusLine(path, "nonvoluntary_ctxt_switches:").c_str(), nullptr, 10);
  return switches;
}

}  // namespace

std::unique_ptr<PuppetHost> MakeLivePuppets() { return std::make_unique<LivePuppets>(); }

}  // namespace utrace::kit
