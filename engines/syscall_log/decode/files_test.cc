#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <cerrno>

#include "engines/syscall_log/decode/decode_testing.h"

namespace utrace::syscall_log {
namespace {

using Files = DecodeTest;

constexpr uint64_t kHere = static_cast<uint64_t>(AT_FDCWD);

TEST_F(Files, Open) {
  const uint64_t path = memory_.PutText("/etc/passwd");
  EXPECT_EQ(Show("openat", {kHere, path, O_RDONLY | O_CLOEXEC}, Returned(3)),
            "openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3");
  EXPECT_EQ(Show("openat", {4, path, O_RDWR | O_CREAT | O_TRUNC, 0644}, Failed(EACCES)),
            "openat(4, \"/etc/passwd\", O_RDWR|O_CREAT|O_TRUNC, 0644) = -1 EACCES (Permission "
            "denied)");
  EXPECT_EQ(Show("openat", {kHere, 0, O_WRONLY | O_TMPFILE, 0600}, Failed(EFAULT)),
            "openat(AT_FDCWD, NULL, O_WRONLY|O_TMPFILE, 0600) = -1 EFAULT (Bad address)");
  EXPECT_EQ(Show("openat", {kHere, 0xdead0000, 0x40000003}, Failed(EFAULT)),
            "openat(AT_FDCWD, 0xdead0000, 0x3 /* O_??? */|0x40000000) = -1 EFAULT (Bad address)");
}

TEST_F(Files, DescriptorsWithPaths) {
  style_.paths = true;
  descriptors_.paths = {{3, "/etc/passwd"}, {5, "a\nb"}};
  EXPECT_EQ(Show("close", {3}), "close(3</etc/passwd>) = 0");
  EXPECT_EQ(Show("dup", {5}, Returned(3)), "dup(5<a\\nb>) = 3</etc/passwd>");
  EXPECT_EQ(Show("close", {9}), "close(9) = 0");
  EXPECT_EQ(Show("openat", {kHere, memory_.PutText("x"), O_RDONLY}, Failed(ENOENT)),
            "openat(AT_FDCWD</home>, \"x\", O_RDONLY) = -1 ENOENT (No such file or directory)");
  EXPECT_EQ(
      Json("dup", {5}, Returned(3)),
      R"({"args":{"oldfd":{"fd":5,"path":"a\u000ab"}},"result":{"fd":3,"path":"/etc/passwd"}})");
}

TEST_F(Files, BuffersAreCutAndEscaped) {
  const uint64_t buffer = memory_.Put("root:x:0:0:root:/root:/bin/bash\nmore");
  EXPECT_EQ(Show("read", {3, buffer, 4096}, Returned(36)),
            "read(3, \"root:x:0:0:root:/root:/bin/bash\\n\"..., 4096) = 36");
  EXPECT_EQ(Show("read", {3, buffer, 4096}, Returned(4)), "read(3, \"root\", 4096) = 4");
  EXPECT_EQ(Show("read", {3, buffer, 4096}, Returned(0)), "read(3, \"\", 4096) = 0");
  EXPECT_EQ(Show("read", {3, buffer, 4096}, Failed(EISDIR)),
            "read(3, 0x10000, 4096) = -1 EISDIR (Is a directory)");
  const uint64_t odd = memory_.Put(std::string("\0\1\0012\x7f\t\"\\\xff", 9));
  EXPECT_EQ(Show("write", {1, odd, 9}, Returned(9)),
            R"(write(1, "\0\1\0012\177\t\"\\\377", 9) = 9)");
  // Only octal digits could be taken for part of a number.
  EXPECT_EQ(Show("write", {1, memory_.Put(std::string("\0018\0017", 4)), 4}, Returned(4)),
            R"(write(1, "\18\0017", 4) = 4)");
  style_.strings = 2;
  EXPECT_EQ(Show("write", {1, odd, 9}, Returned(9)), R"(write(1, "\0\1"..., 9) = 9)");
  style_.strings = 0;
  EXPECT_EQ(Show("write", {1, odd, 9}, Returned(9)), R"(write(1, ""..., 9) = 9)");
}

TEST_F(Files, Vectors) {
  const uint64_t hello = memory_.Put("hello");
  const uint64_t world = memory_.Put("world");
  const auto pointer = [](uint64_t address) { return reinterpret_cast<void*>(address); };
  const uint64_t vector =
      memory_.PutArray(std::vector<iovec>{{pointer(hello), 5}, {pointer(world), 5}});
  EXPECT_EQ(Show("writev", {1, vector, 2}, Returned(10)),
            "writev(1, [{iov_base=\"hello\", iov_len=5}, {iov_base=\"world\", iov_len=5}], 2) = "
            "10");
  EXPECT_EQ(Show("readv", {0, vector, 2}, Returned(7)),
            "readv(0, [{iov_base=\"hello\", iov_len=5}, {iov_base=\"wo\", iov_len=5}], 2) = 7");
  EXPECT_EQ(Json("readv", {0, vector, 2}, Returned(7)),
            R"({"args":{"fd":0,"iov":[{"iov_base":"hello","iov_len":5},)"
            R"({"iov_base":"wo","iov_len":5}],"iovcnt":2},"result":7})");
  // The third is beyond what is mapped, and no more than that is read.
  EXPECT_EQ(Show("writev", {1, vector, ~uint64_t{0}}, Failed(EINVAL)),
            "writev(1, [{iov_base=\"hello\", iov_len=5}, {iov_base=\"world\", iov_len=5}, "
            "0x14020, ...], 18446744073709551615) = -1 EINVAL (Invalid argument)");
}

TEST_F(Files, StatAsItWasFilledIn) {
  struct stat file {};
  file.st_mode = S_IFREG | 0644;
  file.st_size = 2123;
  const uint64_t path = memory_.PutText("/etc/passwd");
  const uint64_t buffer = memory_.PutObject(file);
  EXPECT_EQ(Show("newfstatat", {kHere, path, buffer, AT_SYMLINK_NOFOLLOW}),
            "newfstatat(AT_FDCWD, \"/etc/passwd\", {st_mode=S_IFREG|0644, st_size=2123, ...}, "
            "AT_SYMLINK_NOFOLLOW) = 0");
  EXPECT_EQ(Show("newfstatat", {kHere, path, buffer, 0}, Failed(ENOENT)),
            "newfstatat(AT_FDCWD, \"/etc/passwd\", 0x12000, 0) = -1 ENOENT (No such file or "
            "directory)");
  file.st_mode = S_IFCHR | S_ISVTX | 0620;
  file.st_rdev = makedev(0x88, 0);
  memory_.Change(buffer, file);
  EXPECT_EQ(Show("fstat", {1, buffer}),
            "fstat(1, {st_mode=S_IFCHR|S_ISVTX|0620, st_rdev=makedev(0x88, 0), ...}) = 0");
  style_.verbose = true;
  EXPECT_NE(Show("fstat", {1, buffer}).find("st_nlink=0, st_uid=0"), std::string::npos);
}

TEST_F(Files, Statx) {
  EXPECT_EQ(Show("statx", {3, 0, AT_EMPTY_PATH, STATX_ALL, 0}, Failed(EFAULT)),
            "statx(3, NULL, AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_ALL, NULL) = -1 EFAULT (Bad "
            "address)");
  EXPECT_EQ(Show("statx", {3, 0, AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_BTIME, 0}),
            "statx(3, NULL, AT_STATX_DONT_SYNC, STATX_ALL, NULL) = 0");
}

TEST_F(Files, Fcntl) {
  EXPECT_EQ(Show("fcntl", {1, F_GETFL}, Returned(O_RDWR | O_APPEND)),
            "fcntl(1, F_GETFL) = 0x402 (flags O_RDWR|O_APPEND)");
  EXPECT_EQ(Show("fcntl", {1, F_GETFD}, Returned(FD_CLOEXEC)),
            "fcntl(1, F_GETFD) = 0x1 (flags FD_CLOEXEC)");
  EXPECT_EQ(Show("fcntl", {1, F_GETFD}, Returned(0)), "fcntl(1, F_GETFD) = 0");
  EXPECT_EQ(Show("fcntl", {1, F_SETFD, FD_CLOEXEC}), "fcntl(1, F_SETFD, FD_CLOEXEC) = 0");
  EXPECT_EQ(Show("fcntl", {1, F_DUPFD_CLOEXEC, 10}, Returned(10)),
            "fcntl(1, F_DUPFD_CLOEXEC, 10) = 10");
  EXPECT_EQ(Show("fcntl", {1, 9999, 1}, Failed(EINVAL)),
            "fcntl(1, 0x270f /* F_??? */, 0x1) = -1 EINVAL (Invalid argument)");
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 10;
  lock.l_pid = 77;
  const uint64_t address = memory_.PutObject(lock);
  EXPECT_EQ(Show("fcntl", {1, F_GETLK, address}),
            "fcntl(1, F_GETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=10, l_pid=77}) "
            "= 0");
  EXPECT_EQ(Json("fcntl", {1, F_GETFL}, Returned(O_RDWR)),
            R"({"args":{"fd":1,"cmd":"F_GETFL"},"result":2,"note":{"flags":["O_RDWR"]}})");
}

TEST_F(Files, Ioctl) {
  const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  const uint64_t address = memory_.PutObject(size);
  EXPECT_EQ(Show("ioctl", {1, TIOCGWINSZ, address}),
            "ioctl(1, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0");
  EXPECT_EQ(Show("ioctl", {1, TIOCGWINSZ, address}, Failed(ENOTTY)),
            "ioctl(1, TIOCGWINSZ, 0x10000) = -1 ENOTTY (Inappropriate ioctl for device)");
  EXPECT_EQ(Show("ioctl", {1, FIONREAD, memory_.PutObject(42)}), "ioctl(1, FIONREAD, [42]) = 0");
  EXPECT_EQ(Show("ioctl", {1, FIOCLEX}), "ioctl(1, FIOCLEX) = 0");
  // Known by name only, and not even that.
  EXPECT_EQ(Show("ioctl", {1, 0xae80, 0}, Returned(0)), "ioctl(1, KVM_RUN, NULL) = 0");
  EXPECT_EQ(Show("ioctl", {1, 0xdeadbeef, 1}, Failed(ENOTTY)),
            "ioctl(1, _IOC(_IOC_READ|_IOC_WRITE, 0xbe, 0xef, 0x1ead) /* 0xdeadbeef */, 0x1) = -1 "
            "ENOTTY (Inappropriate ioctl for device)");
}

TEST_F(Files, WhatTheCallChanges) {
  const uint64_t offset = memory_.PutObject(int64_t{0});
  const auto move = [&] { memory_.Change(offset, int64_t{100}); };
  EXPECT_EQ(Show("sendfile", {4, 3, offset, 100}, Returned(100), Format::kText, move),
            "sendfile(4, 3, [0] => [100], 100) = 100");
  memory_.Change(offset, int64_t{0});
  EXPECT_EQ(Show("sendfile", {4, 3, offset, 100}, Returned(100), Format::kJson, move),
            R"({"args":{"out_fd":4,"in_fd":3,"offset":{"before":0,"after":100},"count":100},)"
            R"("result":100})");
  EXPECT_EQ(Show("sendfile", {4, 3, 0, 100}, Returned(100)), "sendfile(4, 3, NULL, 100) = 100");
  const uint64_t fds = memory_.PutArray(std::vector<int>{3, 4});
  EXPECT_EQ(Show("pipe2", {fds, O_CLOEXEC}), "pipe2([3, 4], O_CLOEXEC) = 0");
}

TEST_F(Files, InputsAreThoseOfTheEntry) {
  const uint64_t path = memory_.PutText("/before");
  EXPECT_EQ(Show("chdir", {path}, Returned(0), Format::kText,
                 [&] { memory_.Change(path, std::array<char, 7>{"/after"}); }),
            "chdir(\"/before\") = 0");
}

TEST_F(Files, TextThatRunsIntoUnreadableMemory) {
  EXPECT_EQ(Show("chdir", {memory_.Put("/no/end")}, Failed(EFAULT)),
            "chdir(\"/no/end\"...) = -1 EFAULT (Bad address)");
}

TEST_F(Files, DirectoryEntries) {
  std::string entries;
  for (const std::string name : {".", "a"}) {
    std::string entry(24, '\0');
    entry[16] = 24;
    entry[18] = DT_DIR;
    entry.replace(19, name.size(), name);
    entries += entry;
  }
  const uint64_t buffer = memory_.Put(entries);
  EXPECT_EQ(Show("getdents64", {3, buffer, 32768}, Returned(48)),
            "getdents64(3, 0x10000 /* 2 entries */, 32768) = 48");
  style_.verbose = true;
  EXPECT_EQ(Show("getdents64", {3, buffer, 32768}, Returned(24)),
            "getdents64(3, [{d_ino=0, d_off=0, d_reclen=24, d_type=DT_DIR, d_name=\".\"}], 32768) "
            "= 24");
}

}  // namespace
}  // namespace utrace::syscall_log
