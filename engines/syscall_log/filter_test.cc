#include "engines/syscall_log/filter.h"

#include <fcntl.h>

#include "engines/syscall_log/decode/decode_testing.h"
#include "gtest/gtest.h"

namespace utrace::syscall_log {
namespace {

long Number(const char* name) { return seccomp_syscall_resolve_name(name); }

// The names of the calls, of these, that the list asks for.
std::string Wanted(std::string_view list) {
  std::string error;
  const auto filter = CallFilter::Parse(list, &error);
  if (!filter) return "error: " + error;
  std::string wanted;
  for (const char* name : {"openat", "read", "socket", "connect", "mmap", "kill", "getpid"}) {
    if (filter->Wants(Number(name))) wanted += std::string(wanted.empty() ? "" : " ") + name;
  }
  return wanted;
}

TEST(CallFilter, NamesClassesAndExpressions) {
  EXPECT_EQ(Wanted("openat+read"), "openat read");
  EXPECT_EQ(Wanted("openat,read"), "openat read");
  EXPECT_EQ(Wanted("%file"), "openat");
  EXPECT_EQ(Wanted("%desc"), "openat read socket connect mmap");
  EXPECT_EQ(Wanted("%network+%signal"), "socket connect kill");
  EXPECT_EQ(Wanted("/^(re|co)"), "read connect");
  EXPECT_EQ(Wanted("!%desc+kill"), "getpid");
  EXPECT_EQ(Wanted("all"), "openat read socket connect mmap kill getpid");
  EXPECT_EQ(Wanted("none"), "");
  EXPECT_EQ(Wanted("!all"), "");
  // Of arm64 and i386.
  EXPECT_EQ(Wanted("sync_file_range2+socketcall"), "");
}

TEST(CallFilter, SaysWhatIsWrong) {
  EXPECT_EQ(Wanted("opne"), "error: there is no system call \"opne\"");
  EXPECT_EQ(Wanted("%files"),
            "error: there is no class \"%files\"; there are: %file %desc %network %process %signal "
            "%memory %ipc %stat %creds %clock");
  EXPECT_TRUE(Wanted("/(").starts_with("error: \"(\" is no regular expression: "));
  EXPECT_TRUE(Wanted("").starts_with("error: there is nothing in it"));
  EXPECT_TRUE(Wanted("!+").starts_with("error: there is nothing in it"));
}

TEST(CallFilter, NumbersWithoutANameAreWantedUnlessNamesAreAskedFor) {
  std::string error;
  EXPECT_TRUE(CallFilter().Wants(100000));
  EXPECT_TRUE(CallFilter().Wants(-1));
  EXPECT_FALSE(CallFilter::Parse("read", &error)->Wants(100000));
  EXPECT_TRUE(CallFilter::Parse("!read", &error)->Wants(100000));
}

TEST(NormalPath, TakesPathsAsText) {
  EXPECT_EQ(NormalPath("/usr/../etc//passwd"), "/etc/passwd");
  EXPECT_EQ(NormalPath("/.."), "/");
  EXPECT_EQ(NormalPath("./a/./b/"), "a/b");
  EXPECT_EQ(NormalPath("../a/.."), "..");
  EXPECT_EQ(NormalPath("../../a"), "../../a");
}

class PathFilterTest : public DecodeTest {
 protected:
  bool Wants(const char* list, const char* name, const Args& args) {
    return PathFilter(list).Wants(Number(name), args, memory_, descriptors_);
  }
};

TEST_F(PathFilterTest, PathsAndDescriptors) {
  constexpr uint64_t kHere = static_cast<uint64_t>(AT_FDCWD);
  descriptors_.paths = {{3, "/etc/passwd"}, {4, "/etc"}};
  const uint64_t whole = memory_.PutText("/etc/passwd");
  const uint64_t part = memory_.PutText("passwd");
  const char* wanted = "/etc/passwd+/home/x";
  EXPECT_TRUE(Wants(wanted, "openat", {kHere, whole}));
  EXPECT_TRUE(Wants(wanted, "openat", {4, part}));
  EXPECT_FALSE(Wants(wanted, "openat", {kHere, part}));
  EXPECT_TRUE(Wants(wanted, "openat", {kHere, memory_.PutText("./x")})) << "of /home";
  EXPECT_TRUE(Wants(wanted, "read", {3, 0, 1}));
  EXPECT_FALSE(Wants(wanted, "read", {4, 0, 1}));
  EXPECT_FALSE(Wants(wanted, "close", {99}));
  EXPECT_FALSE(Wants(wanted, "openat", {kHere, 0xdead}));
  EXPECT_FALSE(Wants(wanted, "getpid", {}));
  // The second path of two, from the second directory.
  EXPECT_TRUE(Wants(wanted, "renameat2", {kHere, part, 4, part}));
  EXPECT_FALSE(Wants(wanted, "renameat2", {4, memory_.PutText("x"), kHere, part}));
  EXPECT_TRUE(Wants("passwd", "openat", {99, part})) << "just what the program passes";
}

}  // namespace
}  // namespace utrace::syscall_log
