#include "core/linux/call_filter.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/linux/fd.h"
#include "core/linux/filter_cookie.h"

namespace utrace::linux_host {
namespace {

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};

}  // namespace

std::unique_ptr<CallFilter> CallFilter::Make(const std::vector<long>& calls, std::string* error) {
  const auto failed = [&](const std::string& what, int status) {
    *error = "no filter for system calls can be made: " + what + ": " + std::strerror(-status);
    return nullptr;
  };
  const std::unique_ptr<void, Release> context(seccomp_init(SCMP_ACT_ALLOW));
  if (context == nullptr) return failed("seccomp_init", -ENOMEM);
  int status = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
  if (status != 0) return failed("other ABIs", status);
  for (const long call : calls) {
    status = seccomp_rule_add_exact(context.get(), SCMP_ACT_TRACE(kFilterCookie),
                                    static_cast<int>(call), 0);
    if (status != 0) return failed("system call " + std::to_string(call), status);
  }
  const Fd file(memfd_create("filter", MFD_CLOEXEC));
  if (!file.valid()) return failed("memfd_create", -errno);
  status = seccomp_export_bpf(context.get(), file.get());
  struct stat size {};
  if (status != 0 || fstat(file.get(), &size) != 0) return failed("seccomp_export_bpf", status);
  std::vector<sock_filter> program(static_cast<size_t>(size.st_size) / sizeof(sock_filter));
  const size_t bytes = program.size() * sizeof(sock_filter);
  if (pread(file.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes)) {
    return failed("reading it", -EIO);
  }
  return std::unique_ptr<CallFilter>(new CallFilter(std::move(program)));
}

int CallFilter::Install() const {
  const sock_fprog program = {.len = static_cast<unsigned short>(program_.size()),
                              .filter = const_cast<sock_filter*>(program_.data())};
  const auto install = [&] { return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program); };
  if (install() == 0) return 0;
  if (errno != EACCES) return -errno;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || install() != 0) return -errno;
  return 0;
}

}  // namespace utrace::linux_host
