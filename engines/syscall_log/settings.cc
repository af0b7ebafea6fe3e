#include "engines/syscall_log/settings.h"

#include <charconv>

#include "fmt/format.h"

namespace utrace::syscall_log {
namespace {

// More of a string than this in one line serves nobody.
constexpr size_t kMostOfString = size_t{1} << 20;

// Takes the options one after another; the first that is no good stays in *error.
class Reader {
 public:
  Reader(const Options& options, std::string* error) : options_(options), error_(error) {}

  bool ok() const { return ok_; }

  void YesNo(std::string_view key, bool* value) {
    if (!ok_) return;
    const std::optional<bool> given = options_.YesNo(key, *value, error_);
    ok_ = given.has_value();
    if (given) *value = *given;
  }

  void Number(std::string_view key, size_t most, size_t* value) {
    const std::string* text = options_.Find(key);
    if (!ok_ || text == nullptr) return;
    const char* end = text->data() + text->size();
    const auto [stop, code] = std::from_chars(text->data(), end, *value);
    if (code == std::errc() && stop == end && *value <= most) return;
    Fail(fmt::format("{}={}: must be a number up to {}", key, *text, most));
  }

 private:
  void Fail(std::string message) {
    ok_ = false;
    *error_ = std::move(message);
  }

  const Options& options_;
  std::string* const error_;
  bool ok_ = true;
};

}  // namespace

std::vector<OptionInfo> SettingsOptions() {
  return {
      {.key = "output",
       .values = "FILE",
       .summary = "where the lines go; the file is emptied first; default: standard error",
       .kind = OptionInfo::Kind::kOutputFile},
      {.key = "follow",
       .values = "yes|no",
       .summary = "log the threads and processes that a task creates as well; default: yes"},
      {.key = "signals",
       .values = "yes|no",
       .summary = "log signals and job control as well; default: yes"},
      {.key = "strings",
       .values = "BYTES",
       .summary = "how much of a string or buffer is shown; paths are shown whole; default: 32"},
      {.key = "verbose",
       .values = "yes|no",
       .summary = "structures with all their fields, environments; default: no"},
      {.key = "paths",
       .values = "yes|no",
       .summary = "what descriptors are open on: 3</etc/passwd>; default: no"},
  };
}

std::optional<Settings> ParseSettings(const Options& options, std::string* error) {
  Settings settings;
  Reader reader(options, error);
  reader.YesNo("follow", &settings.follow);
  reader.YesNo("signals", &settings.signals);
  reader.Number("strings", kMostOfString, &settings.style.strings);
  reader.YesNo("verbose", &settings.style.verbose);
  reader.YesNo("paths", &settings.style.paths);
  if (!reader.ok()) return std::nullopt;
  if (settings.style.verbose) settings.style.elements = SIZE_MAX;
  return settings;
}

}  // namespace utrace::syscall_log
