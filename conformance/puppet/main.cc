// The puppet program: `puppet nanny` (control socket at descriptor 3) starts a nanny, and
// `puppet resume SLOT FD` is what a puppet becomes by executing itself.
//
// The nanny is the real parent of the puppets, so that the process hosting the implementation is
// not: a tracer that is the parent as well gets both roles' wait events. Its first thread does
// nothing but wait for the kit to go away; the parent of puppets and the one that waits for them
// are commanded threads like any other.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "conformance/puppet/protocol.h"
#include "conformance/puppet/sys.h"
#include "conformance/puppet/thread.h"

extern "C" {
[[noreturn]] void PuppetMain(long* stack);
extern const utrace::puppet::Addresses PuppetAddresses;

// The compiler calls these by itself. Volatile, so that it does not make them call themselves.
void* memcpy(void* to, const void* from, size_t size) {
  auto* d = static_cast<volatile char*>(to);
  const auto* s = static_cast<const volatile char*>(from);
  for (size_t i = 0; i < size; ++i) d[i] = s[i];
  return to;
}
void* memset(void* to, int value, size_t size) {
  auto* d = static_cast<volatile char*>(to);
  for (size_t i = 0; i < size; ++i) d[i] = static_cast<char>(value);
  return to;
}
}

namespace utrace::puppet {
namespace {

constexpr int kControl = 3;
// The shared memory, and a channel and a pipe for each slot.
constexpr int kDescriptors = 1 + 2 * kSlots;

[[noreturn]] void Exit(int code) {
  for (;;) Sys(SYS_exit_group, code);
}

long Number(const char* text) {
  long value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  return value;
}

bool ReceiveDescriptors(int* descriptors) {
  char byte;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptors)];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (Sys(SYS_recvmsg, kControl, Word(&message), 0) != 1) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_len != CMSG_LEN(sizeof(int) * kDescriptors)) return false;
  memcpy(descriptors, CMSG_DATA(header), sizeof(int) * kDescriptors);
  return true;
}

// Kills the processes that a /proc .../children file lists; returns how many there are.
int KillListed(const char* path) {
  const long fd = Sys(SYS_openat, AT_FDCWD, Word(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  int count = 0;
  long pid = 0;
  char buffer[256];
  for (;;) {
    const long size = Sys(SYS_read, fd, Word(buffer), sizeof(buffer));
    if (size <= 0) break;
    for (long i = 0; i < size; ++i) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        pid = pid * 10 + (buffer[i] - '0');
      } else if (pid != 0) {
        // The group first: it holds children of the puppet that are not ours yet.
        Sys(SYS_kill, -pid, SIGKILL);
        Sys(SYS_kill, pid, SIGKILL);
        pid = 0;
        ++count;
      }
    }
  }
  Sys(SYS_close, fd);
  return count;
}

char* ChildrenPath(long tid, char* buffer) {
  // "/proc/self/task/TID/children"
  const char prefix[] = "/proc/self/task/";
  const char suffix[] = "/children";
  char digits[24];
  char* number = digits + sizeof(digits);
  *--number = '\0';
  for (long rest = tid; rest != 0; rest /= 10) *--number = static_cast<char>('0' + rest % 10);
  char* to = buffer;
  for (const char* from = prefix; *from != '\0';) *to++ = *from++;
  for (const char* from = number; *from != '\0';) *to++ = *from++;
  for (const char* from = suffix;; ++from) {
    *to++ = *from;
    if (*from == '\0') return buffer;
  }
}

// Puppets' own children become this process's (it is their reaper) as soon as their parents die:
// killing goes on until nobody is left.
[[noreturn]] void EndAll(long parent_tid) {
  char own[64];
  char parents[64];
  ChildrenPath(Sys(SYS_gettid), own);
  ChildrenPath(parent_tid, parents);
  for (;;) {
    KillListed(own);
    KillListed(parents);
    if (Sys(SYS_wait4, -1, 0, __WALL, 0) == -ECHILD) Exit(0);
  }
}

[[noreturn]] void RunNanny() {
  Sys(SYS_close_range, kControl + 1, ~0U, 0);
  int descriptors[kDescriptors];
  if (!ReceiveDescriptors(descriptors)) Exit(4);
  MapShared(descriptors[0]);
  Shared* all = shared();
  all->shared_fd = descriptors[0];
  all->nanny_pid = static_cast<int32_t>(Sys(SYS_getpid));
  memcpy(&all->addresses, &PuppetAddresses, sizeof(Addresses));
  const int epoll = static_cast<int>(Sys(SYS_epoll_create1, 0));
  for (int i = 0; i < kSlots; ++i) {
    all->slots[i].channel = descriptors[1 + i];
    all->slots[i].common.pipe = descriptors[1 + kSlots + i];
    all->slots[i].common.epoll = epoll;
  }
  Sys(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
  const long parent = SpawnThread(kParentSlot);
  if (parent < 0 || SpawnThread(kWaiterSlot) < 0) Exit(5);
  for (;;) {
    pollfd control = {kControl, POLLIN, 0};
    const long ready = Sys(SYS_ppoll, Word(&control), 1);
    // Nothing is ever sent: readable means end of file.
    if (ready > 0) EndAll(parent);
    if (ready < 0 && ready != -EINTR) EndAll(parent);
  }
}

}  // namespace
}  // namespace utrace::puppet

void PuppetMain(long* stack) {
  using utrace::puppet::Exit;
  using utrace::puppet::Number;
  const long count = stack[0];
  char** arguments = reinterpret_cast<char**>(stack + 1);
  if (count == 2 && arguments[1][0] == 'n') utrace::puppet::RunNanny();
  if (count == 4 && arguments[1][0] == 'r') {
    utrace::puppet::MapShared(static_cast<int>(Number(arguments[3])));
    const long slot = Number(arguments[2]);
    PuppetSwitchStack(slot, utrace::puppet::StackTop(&utrace::puppet::shared()->slots[slot]));
  }
  Exit(64);
}
