// The options of crash_catcher.
#ifndef ENGINES_CRASH_CATCHER_SETTINGS_H_
#define ENGINES_CRASH_CATCHER_SETTINGS_H_

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engines/options.h"

namespace utrace::crash {

struct Settings {
  enum class Core : uint8_t { kNo, kPlain, kZstd };

  std::string directory;  // as the user wrote it; empty: none
  bool text = true;
  bool json = false;
  Core core = Core::kPlain;
  bool environment = false;
  bool follow = true;
  // Fatal signals that are reported; empty: those whose default action is a core dump.
  std::set<int> signals;
  // A report without a death: when so much time has passed since the process was attached to, and when
  // this signal comes.
  std::optional<std::chrono::milliseconds> hang_timeout;
  int hang_signal = 0;
  // How long the other threads may take to stop.
  std::chrono::milliseconds patience{5000};
};

// What there is for the user.
std::vector<OptionInfo> SettingsOptions();
// Nullopt, and *error one line, if a value is no good.
std::optional<Settings> ParseSettings(const Options& options, std::string* error);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_SETTINGS_H_
