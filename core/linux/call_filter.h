// CallFilter: stops a command for some of its system calls only, by a seccomp filter.
//
// Without a filter every call of a task stops twice if an engine wants to see one kind of call; with it
// the calls that nobody named run at full speed. The price: a filter stays for the life of the process
// and of all that it creates, and the kernel fails a call that the filter names, with ENOSYS, if no
// tracer is there. So the tasks stay traced until they die (filtered_tasks.h), and if the tracing
// process is killed, they fail those calls from then on. Only for commands that their user starts so.
//
// Calls by another ABI than the machine's native one (32-bit programs) pass unseen.
#ifndef CORE_LINUX_CALL_FILTER_H_
#define CORE_LINUX_CALL_FILTER_H_

#include <linux/filter.h>

#include <memory>
#include <string>
#include <vector>

namespace utrace::linux_host {

class CallFilter {
 public:
  // For the system calls with these numbers. Null, and *error one line, if there is no such filter.
  static std::unique_ptr<CallFilter> Make(const std::vector<long>& calls, std::string* error);

  // Puts it in force for the calling thread and what it creates, for good. Where the process lacks
  // CAP_SYS_ADMIN this sets no_new_privs. Allocates nothing: may be called in a forked child. Zero, or
  // a negative errno.
  int Install() const;

 private:
  explicit CallFilter(std::vector<sock_filter> program) : program_(std::move(program)) {}

  const std::vector<sock_filter> program_;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_CALL_FILTER_H_
