// Ending this process by a signal, as another process was.
#ifndef CLI_DIE_H_
#define CLI_DIE_H_

namespace utrace::cli {

// Ends this process by the default action of `signal`, without a core dump of its own. If the
// signal's default is not to end, or it cannot be had, exits with 128 + signal as a shell would.
[[noreturn]] void DieBySignal(int signal);

}  // namespace utrace::cli

#endif  // CLI_DIE_H_
