// Starting and ending the nanny, and what its real parent's waits say.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>

#include "conformance/kit/nanny_state.h"
#include "conformance/kit/puppet.h"

extern char** environ;

namespace utrace::kit {
namespace {

constexpr int kControlInNanny = 3;

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

int Nanny::State::TakeSlot() {
  if (next_slot >= puppet::kSlots) {
    Broken("a test can have " + std::to_string(puppet::kSlots - 2) + " puppet threads in all");
  }
  return next_slot++;
}

Nanny::Nanny() : state_(std::make_unique<State>()) {
  SetStep("starting the nanny");
  const std::string program = PuppetPath();

  const Fd memory(memfd_create("utrace-puppet", MFD_CLOEXEC));
  if (memory.get() < 0 || ftruncate(memory.get(), sizeof(puppet::Shared)) != 0) {
    Broken(ErrorText("memory shared with puppets"));
  }
  void* mapped =
      mmap(nullptr, sizeof(puppet::Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) Broken(ErrorText("memory shared with puppets"));
  state_->shared = static_cast<puppet::Shared*>(mapped);
  if (program.size() >= sizeof(state_->shared->puppet_path)) Broken("path too long: " + program);
  strcpy(state_->shared->puppet_path, program.c_str());

  std::vector<Fd> theirs;
  std::vector<int> descriptors = {memory.get()};
  for (int i = 0; i < puppet::kSlots; ++i) {
    Ends channel = Channel(SOCK_SEQPACKET);
    const int on = 1;
    setsockopt(channel.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    descriptors.push_back(channel.theirs.get());
    state_->channels.push_back(std::move(channel.ours));
    theirs.push_back(std::move(channel.theirs));
  }
  for (int i = 0; i < puppet::kSlots; ++i) {
    Ends pipe = Pipe();
    descriptors.push_back(pipe.theirs.get());
    state_->pipes.push_back(std::move(pipe.ours));
    theirs.push_back(std::move(pipe.theirs));
  }
  Ends control = Channel(SOCK_STREAM);
  SendDescriptors(control.ours.get(), descriptors);
  state_->pid = Start(program, control.theirs.get());
  state_->control = std::move(control.ours);

  const auto own = [&](const char* name) {
    const int slot = state_->TakeSlot();
    state_->threads.emplace_back(new PuppetThread(this, slot, name, false));
    PuppetThread* thread = state_->threads.back().get();
    thread->pid_ = state_->pid;
    return thread;
  };
  state_->parent = own("nanny's parent thread");
  state_->waiter = own("nanny's waiting thread");
  state_->parent->AwaitReady();
  state_->waiter->AwaitReady();
}

Nanny::~Nanny() { Shutdown(); }

void Nanny::Shutdown() {
  if (state_->pid != 0) {
    state_->control.Reset();
    // Nobody else waits for the nanny. It cannot end before every puppet has, which a wrong
    // implementation may prevent (a zombie that its tracer never lets go); then it is killed.
    int status = 0;
    const bool ended = PollUntil(
        [&] {
          const pid_t waited = waitpid(state_->pid, &status, WNOHANG);
          return waited == state_->pid || (waited < 0 && errno == ECHILD);
        },
        std::chrono::milliseconds(5000));
    if (!ended) {
      kill(state_->pid, SIGKILL);
      PollUntil([&] { return waitpid(state_->pid, &status, WNOHANG) != 0; },
                std::chrono::milliseconds(2000));
    }
    state_->pid = 0;
  }
  state_->threads.clear();
  if (state_->shared != nullptr) munmap(state_->shared, sizeof(puppet::Shared));
  state_->shared = nullptr;
}

Puppet& Nanny::Spawn(std::string name) {
  SetStep("spawning the puppet '" + name + "'");
  const int slot = state_->TakeSlot();
  state_->shared->slots[slot].tid = puppet::kNannyChild;
  auto* made = new Puppet(this, slot, std::move(name), true);
  state_->threads.emplace_back(made);
  state_->parent->Send(puppet::Op::kSpawn, SYS_clone, SIGCHLD, 0, 0, 0, 0, slot);
  const long pid = state_->parent->Finish();
  if (pid < 0) Broken("fork of a puppet gives " + ErrnoName(pid));
  made->AwaitReady();
  return *made;
}

void Nanny::BeginWait(pid_t pid, int options) {
  // The status goes to the start of the scratch memory.
  memset(state_->waiter->Scratch(), 0, sizeof(int));
  state_->waiter->Begin(SYS_wait4, pid, static_cast<long>(state_->waiter->ScratchAddress()),
                        options, 0);
}

bool Nanny::TryFinishWait(WaitResult* result, std::chrono::milliseconds deadline) {
  if (!state_->waiter->TryFinish(&result->result, deadline)) return false;
  memcpy(&result->status, state_->waiter->Scratch(), sizeof(int));
  return true;
}

WaitResult Nanny::FinishWait() {
  WaitResult result;
  if (!TryFinishWait(&result)) StepFailed("the real parent's wait does not return");
  return result;
}

bool Nanny::WaitFinished() { return state_->waiter->Finished(); }

WaitResult Nanny::Wait(pid_t pid, int options) {
  BeginWait(pid, options);
  return FinishWait();
}

void Nanny::AwaitWaitBlocked() { state_->waiter->AwaitBlocked(SYS_wait4); }

WaitIdResult Nanny::WaitId(pid_t pid, int options) {
  WaitIdResult result;
  memset(state_->waiter->Scratch(), 0, sizeof(siginfo_t));
  result.result = state_->waiter->Call(
      SYS_waitid, P_PID, pid, static_cast<long>(state_->waiter->ScratchAddress()), options, 0);
  memcpy(&result.info, state_->waiter->Scratch(), sizeof(siginfo_t));
  return result;
}

bool Nanny::HasZombie(pid_t pid) {
  const WaitIdResult result = WaitId(pid, WEXITED | WNOHANG | WNOWAIT);
  return result.result == 0 && result.info.si_pid == pid;
}

void Nanny::IgnoreChildren(bool ignore) {
  const long result =
      state_->parent->Sigaction(SIGCHLD, ignore ? Disposition::kIgnore : Disposition::kDefault);
  if (result != 0) Broken("sigaction in the nanny gives " + ErrnoName(result));
}

pid_t Nanny::pid() const { return state_->pid; }
PuppetThread& Nanny::parent() { return *state_->parent; }

}  // namespace utrace::kit
