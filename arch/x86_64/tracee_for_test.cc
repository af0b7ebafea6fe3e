#include "arch/x86_64/tracee_for_test.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

constexpr size_t kMaskSize = 8;

long Ptrace(int request, pid_t pid, uint64_t address, void* data) {
  return ptrace(static_cast<__ptrace_request>(request), pid, address, data);
}

}  // namespace

Tracee::Tracee(const std::function<void()>& body, bool stopped) {
  int go[2];
  if (pipe(go) != 0) {
    ADD_FAILURE() << "pipe: " << strerror(errno);
    return;
  }
  pid_ = fork();
  if (pid_ == 0) {
    char byte;
    if (read(go[0], &byte, 1) != 1) _exit(1);
    close(go[0]);
    close(go[1]);
    body();
    _exit(0);
  }
  auto* const options = reinterpret_cast<void*>(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
  EXPECT_EQ(Ptrace(PTRACE_SEIZE, pid_, 0, options), 0) << strerror(errno);
  if (stopped) Interrupt();
  EXPECT_EQ(write(go[1], "", 1), 1);
  close(go[0]);
  close(go[1]);
}

Tracee::~Tracee() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status)) {
  }
}

void Tracee::Interrupt() {
  EXPECT_EQ(Ptrace(PTRACE_INTERRUPT, pid_, 0, nullptr), 0) << strerror(errno);
  const int status = Wait();
  EXPECT_TRUE(WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP) << status;
}

void Tracee::WaitUntilBlockedIn(long number) {
  const std::string path = "/proc/" + std::to_string(pid_) + "/syscall";
  const std::string wanted = std::to_string(number);
  for (;;) {
    std::string word;
    std::ifstream(path) >> word;
    if (word == wanted) return;
    if (kill(pid_, 0) != 0 || word.empty()) {
      ADD_FAILURE() << "no system call " << number;
      return;
    }
    usleep(200);
  }
}

void Tracee::Resume(int request, int signal) {
  EXPECT_EQ(Ptrace(request, pid_, 0, reinterpret_cast<void*>(static_cast<intptr_t>(signal))), 0)
      << strerror(errno);
}

int Tracee::Wait() {
  int status = 0;
  if (waitpid(pid_, &status, __WALL) != pid_) {
    ADD_FAILURE() << "waitpid: " << strerror(errno);
    return -1;
  }
  if (!WIFSTOPPED(status)) pid_ = -1;
  return status;
}

void Tracee::StopBySignal(int signal) {
  EXPECT_EQ(kill(pid_, signal), 0);
  const int status = Wait();
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == signal) << status;
}

std::optional<std::vector<uint8_t>> Tracee::RegisterSet(uint32_t note_type) {
  std::vector<uint8_t> image(64 * 1024);
  iovec vector = {.iov_base = image.data(), .iov_len = image.size()};
  if (Ptrace(PTRACE_GETREGSET, pid_, note_type, &vector) != 0) return std::nullopt;
  image.resize(vector.iov_len);
  return image;
}

GeneralRegisters Tracee::Registers() {
  GeneralRegisters regs = {};
  iovec vector = {.iov_base = &regs, .iov_len = sizeof(regs)};
  EXPECT_EQ(Ptrace(PTRACE_GETREGSET, pid_, NT_PRSTATUS, &vector), 0) << strerror(errno);
  return regs;
}

void Tracee::SetRegisters(const GeneralRegisters& regs) {
  GeneralRegisters copy = regs;
  iovec vector = {.iov_base = &copy, .iov_len = sizeof(copy)};
  EXPECT_EQ(Ptrace(PTRACE_SETREGSET, pid_, NT_PRSTATUS, &vector), 0) << strerror(errno);
}

std::vector<uint8_t> Tracee::Xstate() {
  if (auto image = RegisterSet(NT_X86_XSTATE)) return *image;
  return RegisterSet(NT_PRFPREG).value_or(std::vector<uint8_t>());
}

void Tracee::SetXstate(std::span<const uint8_t> image) {
  const uint64_t type = image.size() > sizeof(user_fpregs_struct) ? NT_X86_XSTATE : NT_PRFPREG;
  iovec vector = {.iov_base = const_cast<uint8_t*>(image.data()), .iov_len = image.size()};
  EXPECT_EQ(Ptrace(PTRACE_SETREGSET, pid_, type, &vector), 0) << strerror(errno);
}

uint64_t Tracee::Blocked() {
  uint64_t mask = 0;
  EXPECT_EQ(Ptrace(PTRACE_GETSIGMASK, pid_, kMaskSize, &mask), 0) << strerror(errno);
  return mask;
}

void Tracee::SetBlocked(uint64_t mask) {
  EXPECT_EQ(Ptrace(PTRACE_SETSIGMASK, pid_, kMaskSize, &mask), 0) << strerror(errno);
}

siginfo_t Tracee::SignalInfo() {
  siginfo_t info = {};
  EXPECT_EQ(Ptrace(PTRACE_GETSIGINFO, pid_, 0, &info), 0) << strerror(errno);
  return info;
}

std::vector<uint8_t> Tracee::Read(uint64_t address, size_t size) {
  const int memory = open(("/proc/" + std::to_string(pid_) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  std::vector<uint8_t> bytes(size);
  EXPECT_EQ(pread(memory, bytes.data(), size, static_cast<off_t>(address)),
            static_cast<ssize_t>(size))
      << strerror(errno);
  close(memory);
  return bytes;
}

void Tracee::Write(uint64_t address, std::span<const uint8_t> bytes) {
  const int memory = open(("/proc/" + std::to_string(pid_) + "/mem").c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(pwrite(memory, bytes.data(), bytes.size(), static_cast<off_t>(address)),
            static_cast<ssize_t>(bytes.size()))
      << strerror(errno);
  close(memory);
}

}  // namespace utrace::arch
