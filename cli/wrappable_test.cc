#include "cli/wrappable.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

namespace utrace::cli {
namespace {

namespace fs = std::filesystem;

class Wrappable : public testing::Test {
 protected:
  // A copy of a program that can be wrapped, with `size` bytes changed at `offset`.
  std::string Copy(const std::string& name, long offset = 0, const std::string& bytes = "") {
    const std::string path = directory_ + "/" + name;
    fs::copy_file("/bin/true", path, fs::copy_options::overwrite_existing);
    if (!bytes.empty()) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(offset);
      file << bytes;
    }
    return path;
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    chmod(path.c_str(), 0755);
    return path;
  }

  const std::string directory_ = testing::TempDir();
};

TEST_F(Wrappable, OrdinaryPrograms) {
  EXPECT_EQ(WhyNotWrappable("/bin/true"), "");
  EXPECT_EQ(WhyNotWrappable("/proc/self/exe"), "");
  EXPECT_EQ(WhyNotWrappable(Write("script", "#! /bin/sh -e\ntrue\n")), "");
}

TEST_F(Wrappable, AnotherMachine) {
  // e_machine: 40 is that of 32-bit ARM.
  const std::string path = Copy("foreign", 18, std::string("\x28\0", 2));
  EXPECT_EQ(WhyNotWrappable(path),
            "it is made for another kind of machine: it cannot be made to share what it traces");
}

TEST_F(Wrappable, StaticallyLinked) {
  // e_phnum: no program headers, so no interpreter.
  const std::string path = Copy("static", 56, std::string("\0\0", 2));
  EXPECT_EQ(WhyNotWrappable(path),
            "it is statically linked: it cannot be made to share what it traces");
  EXPECT_EQ(WhyNotWrappable(Write("script", "#!" + path + "\n")),
            "its interpreter " + path +
                ": it is statically linked: it cannot be made to share what it traces");
}

TEST_F(Wrappable, SetUserId) {
  const std::string path = Copy("setuid");
  if (chown(path.c_str(), geteuid() + 1, getegid()) != 0) GTEST_SKIP() << "only root can";
  chmod(path.c_str(), 04755);
  EXPECT_EQ(WhyNotWrappable(path), "it is set-user-id: it cannot be made to share what it traces");
  chmod(path.c_str(), 0755);
  EXPECT_EQ(WhyNotWrappable(path), "");
}

TEST_F(Wrappable, FindsAsAShellDoes) {
  int error = 0;
  EXPECT_EQ(FindCommand("/bin/true", &error), "/bin/true");
  EXPECT_EQ(FindCommand("there-is-no-such-command", &error), "");
  EXPECT_EQ(error, ENOENT);
  const std::string plain = Write("plain", "");
  chmod(plain.c_str(), 0644);
  EXPECT_EQ(FindCommand(directory_, &error), "");
  EXPECT_EQ(error, EACCES);
  const std::string program = Write("a-program-of-this-test", "#!/bin/sh\n");
  setenv("PATH", ("/nowhere:" + fs::path(program).parent_path().string()).c_str(), 1);
  EXPECT_EQ(fs::path(FindCommand("a-program-of-this-test", &error)).lexically_normal(),
            fs::path(program).lexically_normal());
}

}  // namespace
}  // namespace utrace::cli
