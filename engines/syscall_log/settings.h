// What the user wants of a syscall_log.
#ifndef ENGINES_SYSCALL_LOG_SETTINGS_H_
#define ENGINES_SYSCALL_LOG_SETTINGS_H_

#include <optional>
#include <string>
#include <vector>

#include "engines/options.h"
#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

struct Settings {
  bool follow = true;   // attach to the tasks that a task creates
  bool signals = true;  // log signals and job control too
  Style style;
};

// The options that there are, in the order in which help shows them.
std::vector<OptionInfo> SettingsOptions();
// Nullopt, and *error one line, if a value is no good.
std::optional<Settings> ParseSettings(const Options& options, std::string* error);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_SETTINGS_H_
