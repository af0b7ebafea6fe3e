#include "engines/crash_catcher/settings.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string_view>

#include "engines/crash_catcher/fault.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

constexpr std::string_view kTimeout = "timeout=";

// "30s", "500ms", "5m".
std::optional<std::chrono::milliseconds> ParseTime(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr int64_t kMost = 1'000'000'000;
  if (error != std::errc() || number <= 0 || number > kMost) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  return std::nullopt;
}

// Zero if there is no such signal, or nobody can catch it.
int CatchableSignal(std::string_view name) {
  const int number = SignalNumber(name);
  return number == SIGKILL || number == SIGSTOP ? 0 : number;
}

bool ParseSignals(std::string_view text, std::set<int>* signals, std::string* error) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    const int number = CatchableSignal(name);
    if (number == 0) {
      *error = fmt::format("signals={}: \"{}\" is no signal that can be caught; write SEGV+ABRT",
                           text, name);
      return false;
    }
    signals->insert(number);
    begin = end + 1;
  }
  return true;
}

bool ParseOn(const std::string& value, Settings* settings, std::string* error) {
  if (value.starts_with(kTimeout)) {
    settings->hang_timeout = ParseTime(std::string_view(value).substr(kTimeout.size()));
    if (settings->hang_timeout) return true;
    *error = fmt::format("on={}: the time must be a number with ms, s or m: timeout=30s", value);
    return false;
  }
  settings->hang_signal = CatchableSignal(value);
  if (settings->hang_signal != 0) return true;
  *error = fmt::format("on={}: must be timeout=TIME, or a signal that can be caught", value);
  return false;
}

}  // namespace

std::vector<OptionInfo> SettingsOptions() {
  return {
      {.key = "dir",
       .values = "DIR",
       .summary =
           "where reports and core files go; default: the report goes to standard error, and "
           "no core file is written",
       .kind = OptionInfo::Kind::kDirectory},
      {.key = "format", .values = "text|json|both", .summary = "of the report; default: text"},
      {.key = "core",
       .values = "yes|no|zstd",
       .summary = "write a core file to DIR; zstd compresses it; default: yes"},
      {.key = "env",
       .values = "yes|no",
       .summary = "show the environment, which may hold secrets; default: no"},
      {.key = "signals",
       .values = "NAME[+NAME...]",
       .summary = "fatal signals to report; default: those that dump core"},
      {.key = "on",
       .values = "timeout=TIME|SIGNAL",
       .summary =
           "report also, without ending the process, when it was watched for TIME (30s, 5m), "
           "or when SIGNAL comes, which the program then does not see"},
      {.key = "follow",
       .values = "yes|no",
       .summary = "watch the threads and processes that a task creates as well; default: yes"},
  };
}

std::optional<Settings> ParseSettings(const Options& options, std::string* error) {
  Settings settings;
  const std::optional<bool> environment = options.YesNo("env", false, error);
  const std::optional<bool> follow = options.YesNo("follow", true, error);
  if (!environment || !follow) return std::nullopt;
  settings.environment = *environment;
  settings.follow = *follow;
  if (const std::string* value = options.Find("dir")) settings.directory = *value;
  if (const std::string* value = options.Find("format")) {
    settings.text = *value == "text" || *value == "both";
    settings.json = *value == "json" || *value == "both";
    if (!settings.text && !settings.json) {
      *error = fmt::format("format={}: must be text, json or both", *value);
      return std::nullopt;
    }
  }
  const std::string* const core = options.Find("core");
  if (core != nullptr) {
    if (*core == "no") {
      settings.core = Settings::Core::kNo;
    } else if (*core == "zstd") {
      settings.core = Settings::Core::kZstd;
    } else if (*core != "yes") {
      *error = fmt::format("core={}: must be yes, no or zstd", *core);
      return std::nullopt;
    }
  }
  if (settings.directory.empty()) {
    if (core != nullptr && settings.core != Settings::Core::kNo) {
      *error = fmt::format("core={}: there is no directory for it; add dir=DIR", *core);
      return std::nullopt;
    }
    settings.core = Settings::Core::kNo;
  }
  if (const std::string* value = options.Find("signals")) {
    if (value->empty()) {
      *error = "signals=: names no signal; write SEGV+ABRT";
      return std::nullopt;
    }
    if (!ParseSignals(*value, &settings.signals, error)) return std::nullopt;
  }
  if (const std::string* value = options.Find("on")) {
    if (!ParseOn(*value, &settings, error)) return std::nullopt;
  }
  return settings;
}

}  // namespace utrace::crash
