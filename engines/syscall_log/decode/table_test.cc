#include "engines/syscall_log/decode/table.h"

#include <seccomp.h>

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace utrace::syscall_log {
namespace {

// libseccomp gives calls that a machine lacks a negative number.
bool Exists(uint32_t machine, const char* name) {
  return seccomp_syscall_resolve_name_arch(machine, name) >= 0;
}

TEST(Table, DecodesCallsThatExist) {
  int x86_64 = 0;
  int aarch64 = 0;
  std::set<std::string> names;
  for (const TableEntry& entry : DecodedCalls()) {
    const char* name = entry.info->name;
    const bool here = Exists(SCMP_ARCH_X86_64, name);
    const bool there = Exists(SCMP_ARCH_AARCH64, name);
    x86_64 += here ? 1 : 0;
    aarch64 += there ? 1 : 0;
    EXPECT_TRUE(here || there) << name << " is no system call of either machine";
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    // JSON has them as members of one object.
    std::set<std::string> params;
    for (const Param& param : entry.info->params) {
      EXPECT_EQ(param.name == nullptr, param.type.show == nullptr) << name;
      if (param.name == nullptr) continue;
      EXPECT_TRUE(params.insert(param.name).second) << name << " has two " << param.name;
      // Perfetto's objects have these beside them.
      EXPECT_EQ((std::set<std::string>{"result", "error", "note", "ended"}).count(param.name), 0u)
          << name;
    }
  }
  EXPECT_GE(x86_64, 300);
  EXPECT_GE(aarch64, 260);
  std::printf("%d of x86_64, %d of aarch64\n", x86_64, aarch64);
}

TEST(Table, FindsByNumberAndName) {
  const long number = seccomp_syscall_resolve_name("openat");
  ASSERT_NE(FindCall(number), nullptr);
  EXPECT_STREQ(FindCall(number)->info->name, "openat");
  EXPECT_EQ(FindCall("openat"), FindCall(number));
  EXPECT_EQ(FindCall("no_such_call"), nullptr);
  EXPECT_EQ(FindCall(-1L), nullptr);
  EXPECT_EQ(FindCall(100000L), nullptr);
}

TEST(Table, ClassesFollowFromParameters) {
  EXPECT_EQ(FindCall("openat")->classes, uint32_t{kClassFile | kClassDesc});
  EXPECT_EQ(FindCall("mmap")->classes, uint32_t{kClassMemory | kClassDesc});
  EXPECT_EQ(FindCall("stat")->classes, uint32_t{kClassFile | kClassStat});
  EXPECT_EQ(FindCall("connect")->classes, uint32_t{kClassNetwork | kClassDesc});
  EXPECT_EQ(FindCall("kill")->classes & kClassSignal, uint32_t{kClassSignal});
  EXPECT_EQ(FindCall("execve")->classes, uint32_t{kClassProcess | kClassFile});
  EXPECT_EQ(FindCall("wait4")->classes, uint32_t{kClassProcess});
  EXPECT_EQ(FindCall("getpid")->classes, uint32_t{kClassNone});
}

}  // namespace
}  // namespace utrace::syscall_log
