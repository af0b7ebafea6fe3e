#ifndef ENGINES_EXAMPLES_DENY_UNLINK_H_
#define ENGINES_EXAMPLES_DENY_UNLINK_H_

#include <sys/syscall.h>

#include <cerrno>
#include <string>

#include "core/engine.h"

// Lets its tasks remove no file whose name ends in `suffix`: they see EPERM.
class DenyUnlink : public utrace::Engine {
 public:
  explicit DenyUnlink(std::string suffix) : suffix_(std::move(suffix)) {}

  utrace::SyscallResult OnSyscallEntry(utrace::SyscallEntry& call) override {
    const bool unlinkat = call.number() == SYS_unlinkat;
    if (!unlinkat && call.number() != SYS_unlink) return utrace::Action::kResume;
    const auto path = call.machine().ReadString(call.argument(unlinkat ? 1 : 0));
    if (path && path->ends_with(suffix_)) return call.Refuse(EPERM);
    return utrace::Action::kResume;
  }

 private:
  const std::string suffix_;
};

#endif  // ENGINES_EXAMPLES_DENY_UNLINK_H_
