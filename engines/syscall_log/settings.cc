#include "engines/syscall_log/settings.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "fmt/format.h"

namespace utrace::syscall_log {
namespace {

// More of a string than this in one line serves nobody.
constexpr size_t kMostOfString = size_t{1} << 20;
// Of an array, if it is to be shown whole: a program can pass any number.
constexpr size_t kMostElements = 1024;

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

  // Which of the words the option's value is; nullopt if it is not given.
  std::optional<size_t> OneOf(std::string_view key, std::initializer_list<const char*> words) {
    const std::string* text = options_.Find(key);
    if (!ok_ || text == nullptr) return std::nullopt;
    const auto* const found = std::find(words.begin(), words.end(), *text);
    if (found != words.end()) return static_cast<size_t>(found - words.begin());
    Fail(fmt::format("{}={}: must be {}", key, *text, fmt::join(words, ", ")));
    return std::nullopt;
  }

  void Fail(std::string message) {
    if (!ok_) return;
    ok_ = false;
    *error_ = std::move(message);
  }

 private:
  const Options& options_;
  std::string* const error_;
  bool ok_ = true;
};

void ParseFormats(Reader& reader, Settings* settings) {
  constexpr OutputFormat kFormats[] = {OutputFormat::kText, OutputFormat::kJson,
                                       OutputFormat::kPerfetto};
  if (const auto format = reader.OneOf("format", {"text", "json", "perfetto"})) {
    settings->format = kFormats[*format];
  }
  constexpr TimePrefix kTimes[] = {TimePrefix::kNone, TimePrefix::kClock, TimePrefix::kMicroseconds,
                                   TimePrefix::kEpoch};
  if (const auto time = reader.OneOf("time", {"none", "clock", "us", "epoch"})) {
    settings->text.time = kTimes[*time];
  }
  reader.YesNo("relative", &settings->text.relative);
  reader.YesNo("duration", &settings->text.duration);
  reader.YesNo("unfinished", &settings->unfinished);
  // What is abbreviated for people is whole for programs.
  settings->style.verbose = settings->format != OutputFormat::kText;
  reader.YesNo("verbose", &settings->style.verbose);
  reader.YesNo("paths", &settings->style.paths);
  reader.Number("strings", kMostOfString, &settings->style.strings);
  if (settings->style.verbose) settings->style.elements = kMostElements;
}

void ParseFilters(const Options& options, Reader& reader, Settings* settings) {
  if (const std::string* list = options.Find("trace"); list != nullptr) {
    std::string problem;
    const auto calls = CallFilter::Parse(*list, &problem);
    if (!calls) return reader.Fail(fmt::format("trace={}: {}", *list, problem));
    settings->calls = *calls;
  }
  if (const std::string* path = options.Find("path"); path != nullptr) {
    settings->paths = PathFilter(*path);
    if (settings->paths.wants_all()) return reader.Fail("path=: a path is missing");
  }
  bool failed = false;
  bool successful = false;
  reader.YesNo("failed", &failed);
  reader.YesNo("successful", &successful);
  if (failed && successful) return reader.Fail("failed and successful: only one can be yes");
  if (failed) settings->status = Wanted::kFailed;
  if (successful) settings->status = Wanted::kSuccessful;
  if (const auto summary = reader.OneOf("summary", {"no", "yes", "only"})) {
    settings->summary = *summary != 0;
    settings->lines = *summary != 2;
  }
}

// What goes with one format only.
void CheckTogether(Reader& reader, const Settings& settings) {
  if (settings.format == OutputFormat::kText) return;
  if (settings.unfinished) reader.Fail("unfinished=yes goes with format=text only");
  if (settings.text.time != TimePrefix::kNone || settings.text.relative || settings.text.duration) {
    reader.Fail(
        "time, relative and duration go with format=text only: the other formats have all "
        "times");
  }
  if (settings.summary && settings.format == OutputFormat::kPerfetto) {
    reader.Fail("summary does not go with format=perfetto");
  }
}

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
       .summary = "structures with all their fields, environments; default: no, in JSON yes"},
      {.key = "paths",
       .values = "yes|no",
       .summary = "what descriptors are open on: 3</etc/passwd>; default: no"},
      {.key = "trace",
       .values = "[!]CALL[+CALL...]",
       .summary = "log these calls only, or all but these; a CALL is a name, a class (%file %desc "
                  "%network %process %signal %memory %ipc %stat %creds %clock) or /expression"},
      {.key = "path",
       .values = "PATH[+PATH...]",
       .summary = "log only calls that name one of these files, in a path or by a descriptor"},
      {.key = "failed", .values = "yes|no", .summary = "log only calls that fail; default: no"},
      {.key = "successful",
       .values = "yes|no",
       .summary = "log only calls that succeed; default: no"},
      {.key = "time",
       .values = "none|clock|us|epoch",
       .summary = "when a call began: to the second, to the microsecond, or in seconds since 1970; "
                  "default: none"},
      {.key = "relative",
       .values = "yes|no",
       .summary = "the time since the line before; default: no"},
      {.key = "duration", .values = "yes|no", .summary = "how long each call took; default: no"},
      {.key = "unfinished",
       .values = "yes|no",
       .summary = "a call in two lines if others come between; default: no, a line is written when "
                  "the call is over"},
      {.key = "summary",
       .values = "no|yes|only",
       .summary = "a table of calls, errors and times at the end, with or without the lines; "
                  "default: no"},
      {.key = "format",
       .values = "text|json|perfetto",
       .summary =
           "text as strace has it; a JSON object for each line; a trace for ui.perfetto.dev; "
           "default: text"},
      {.key = "per_process",
       .values = "DIRECTORY",
       .summary = "a file for each process, DIRECTORY/PID.log; JSON: PID.jsonl, Perfetto: PID.json",
       .kind = OptionInfo::Kind::kDirectory},
  };
}

std::optional<Settings> ParseSettings(const Options& options, std::string* error) {
  Settings settings;
  Reader reader(options, error);
  reader.YesNo("follow", &settings.follow);
  reader.YesNo("signals", &settings.signals);
  ParseFormats(reader, &settings);
  ParseFilters(options, reader, &settings);
  if (reader.ok()) CheckTogether(reader, settings);
  if (!reader.ok()) return std::nullopt;
  return settings;
}

}  // namespace utrace::syscall_log
