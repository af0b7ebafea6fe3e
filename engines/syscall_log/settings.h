// What the user wants of a syscall_log.
#ifndef ENGINES_SYSCALL_LOG_SETTINGS_H_
#define ENGINES_SYSCALL_LOG_SETTINGS_H_

#include <optional>
#include <string>
#include <vector>

#include "engines/options.h"
#include "engines/syscall_log/decode/call.h"
#include "engines/syscall_log/filter.h"
#include "engines/syscall_log/log_format.h"

namespace utrace::syscall_log {

enum class OutputFormat : uint8_t { kText, kJson, kPerfetto };
// Of calls that returned, which ones.
enum class Wanted : uint8_t { kAny, kFailed, kSuccessful };

struct Settings {
  bool follow = true;   // attach to the tasks that a task creates
  bool signals = true;  // log signals and job control too
  OutputFormat format = OutputFormat::kText;
  Style style;
  TextFormatSettings text;
  bool unfinished = false;  // calls in two lines if others come between
  CallFilter calls;
  PathFilter paths;
  Wanted status = Wanted::kAny;
  bool lines = true;     // of calls, signals and ends
  bool summary = false;  // a table at the end
};

// The options that there are, in the order in which help shows them.
std::vector<OptionInfo> SettingsOptions();
// Nullopt, and *error one line, if a value is no good.
std::optional<Settings> ParseSettings(const Options& options, std::string* error);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_SETTINGS_H_
