#include "engines/ptrace_compat/client/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/program_data.h"
#include "engines/ptrace_compat/client/signals.h"
#include "engines/ptrace_compat/wrap_variable.h"

namespace utrace::ptrace_compat::client {
namespace {

// In a page that the kernel wipes in the child of a fork, and that a vfork child shares.
struct Words {
  std::atomic<pid_t> pid;
  std::atomic<uint32_t> generation;
  // A child that is traced since PTRACE_TRACEME, or this process itself.
  std::atomic<pid_t> traced;
};

Words g_fallback;
Words* g_words = &g_fallback;
// What this program or those that it was forked from have attached to, by the last bits of the number: shared with
// the children, of which one that its parent has attached to must know it. Null: what is executed is not wrapped.
struct Attached {
  std::atomic<pid_t> pids[1024];
  std::atomic<pid_t>& Of(pid_t pid) { return pids[static_cast<unsigned>(pid) % 1024]; }
};
Attached* g_attached = nullptr;
char g_directory[4096];
bool g_children = false;
bool g_yama = false;
pid_t g_server = 0;
int g_patience = kServerPatience;

void MakeWords() {
  const long size = sysconf(_SC_PAGESIZE);
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, size, MADV_WIPEONFORK) != 0) {
    munmap(page, size);
    return;
  }
  g_words = static_cast<Words*>(page);
}

void ShareAttached() {
  void* page =
      mmap(nullptr, sizeof(Attached), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) g_attached = static_cast<Attached*>(page);
}

void InForkedChild() {
  // Without the page.
  if (g_words == &g_fallback) g_words->pid = 0;
  WhoseMemory();
  if (g_server != 0) AllowServer(g_server);
}

// The connection that `utrace wrap` passed, or who executed this program: out of the way of the program's own
// descriptors. What is executed inherits it if it is wrapped. Its number now; -1: it is not there.
int Keep(int fd, uint64_t inode) {
  // Who executed this program may have closed it, and opened something else.
  struct stat stat {};
  if (fstat(fd, &stat) != 0 || !S_ISSOCK(stat.st_mode) || stat.st_ino != inode) return -1;
  const int high = MoveUp(fd);
  const int kept = high >= 0 ? high : fd;
  fcntl(kept, F_SETFD, g_children ? 0 : FD_CLOEXEC);
  KeepOpen(kept);
  return kept;
}

// Writes a number over the digits that there are.
void Rewrite(char* digits, const char* end, int number) {
  for (char* digit = const_cast<char*>(end); digit != digits; number /= 10) {
    *--digit = static_cast<char>('0' + number % 10);
  }
}

// `value` is that of the variable, and is changed: who reads it next must find the connection by its number, and not
// take some other descriptor for it.
void Configure(char* value) {
  g_children = value[0] == '1';
  if (g_children) ShareAttached();
  char* const number = value + 2;
  char* const server = strchr(number, ' ');
  if (server == nullptr) return;
  char* const patience = strchr(server + 1, ' ');
  if (patience == nullptr) return;
  const char* const directory = strchr(patience + 1, ' ');
  if (directory == nullptr || strlen(directory + 1) >= sizeof(g_directory)) return;
  strcpy(g_directory, directory + 1);
  g_server = atoi(server + 1);
  g_patience = atoi(patience + 1);
  char* const inode = strchr(number, ':');
  if (inode == nullptr || inode > server) return;
  const int kept = Keep(atoi(number), strtoul(inode + 1, nullptr, 10));
  if (kept >= 0 && g_children) {
    Rewrite(number, inode, kept);
  } else {
    for (char* digit = number; digit != server; ++digit) *digit = '-';
  }
}

void ReadEnvironment() {
  if (environ == nullptr) return;
  char** to = environ;
  for (char** from = environ; *from != nullptr; ++from) {
    if (IsWrapEntry(*from)) {
      Configure(*from + sizeof(kWrapVariable));
      if (!g_children) continue;
    }
    *to++ = *from;
  }
  *to = nullptr;
  if (g_children) return;
  to = environ;
  for (char** from = environ; *from != nullptr; ++from) {
    if (IsPreloadEntry(*from) && !ShortenPreload(*from)) continue;
    *to++ = *from;
  }
  *to = nullptr;
}

__attribute__((constructor)) void Begin() {
  TheNative();
  MakeWords();
  FindProgramData();
  NoteInheritedMask();
  g_words->pid = getpid();
  ReadEnvironment();
  g_yama = access("/proc/sys/kernel/yama/ptrace_scope", F_OK) == 0;
  pthread_atfork(nullptr, NoteChild, InForkedChild);
}

}  // namespace

int RingSignal() { return SIGRTMAX - 5; }

Memory WhoseMemory() {
  const pid_t self = static_cast<pid_t>(Raw(SYS_getpid));
  pid_t owner = g_words->pid.load(std::memory_order_acquire);
  if (owner == self) return Memory::kOurs;
  if (owner != 0) return Memory::kBorrowed;
  // Nobody else runs here yet, or does the same.
  ForgetConnections();
  g_words->pid.store(self, std::memory_order_release);
  return Memory::kOurs;
}

bool IsUnknownFork() {
  // Without the page, a fork shows only so.
  if (g_words == &g_fallback) return g_words->pid != static_cast<pid_t>(Raw(SYS_getpid));
  return g_words->pid.load(std::memory_order_acquire) == 0;
}

pid_t OwnerOfMemory() { return g_words->pid.load(std::memory_order_acquire); }

uint32_t ChildrenGeneration() { return g_words->generation; }

void NoteChild() { ++g_words->generation; }

const char* ServerDirectory() { return g_directory[0] != '\0' ? g_directory : nullptr; }

int Patience() { return g_patience; }

void AllowServer(pid_t server) {
  if (g_yama) Raw(SYS_prctl, PR_SET_PTRACER, server);
}

void NoteTraced() { g_words->traced = static_cast<pid_t>(Raw(SYS_getpid)); }

void NoteAttached(pid_t pid) {
  if (g_attached != nullptr) g_attached->Of(pid) = pid;
}

void NoteDetached(pid_t pid) {
  if (g_attached != nullptr && g_attached->Of(pid) == pid) g_attached->Of(pid) = 0;
}

bool ExecutesUnwrapped() {
  if (!g_children) return false;
  const auto self = static_cast<pid_t>(Raw(SYS_getpid));
  return g_words->traced == self || (g_attached != nullptr && g_attached->Of(self) == self);
}

bool IsWrapEntry(const char* entry) {
  constexpr size_t kLength = sizeof(kWrapVariable) - 1;
  return strncmp(entry, kWrapVariable, kLength) == 0 && entry[kLength] == '=';
}

bool IsPreloadEntry(const char* entry) {
  return strncmp(entry, "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0;
}

bool ShortenPreload(char* text) {
  char* const list = text + strlen("LD_PRELOAD=");
  char* const name = strstr(list, kLibraryName);
  if (name != nullptr) {
    const auto separates = [](char c) { return c == ':' || c == ' '; };
    char* begin = name;
    while (begin > list && !separates(begin[-1])) --begin;
    char* end = name + strlen(kLibraryName);
    if (separates(*end)) ++end;
    memmove(begin, end, strlen(end) + 1);
  }
  return *list != '\0';
}

void Complain(const char* text) {
  Text line;
  line.Add("utrace wrap: ").Add(text).Add("\n");
  Raw(SYS_write, STDERR_FILENO, reinterpret_cast<long>(line.get()), static_cast<long>(line.size()));
}

}  // namespace utrace::ptrace_compat::client
