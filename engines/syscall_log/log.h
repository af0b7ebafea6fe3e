// Log: where lines go, one file or one for each process, and what is written between tasks' lines.
#ifndef ENGINES_SYSCALL_LOG_LOG_H_
#define ENGINES_SYSCALL_LOG_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engines/files.h"
#include "engines/line_writer.h"
#include "engines/syscall_log/log_format.h"
#include "engines/syscall_log/settings.h"
#include "engines/syscall_log/summary.h"

namespace utrace::syscall_log {

// One file, or other output. Any thread.
class LogFile {
 public:
  // `name` is for messages.
  LogFile(std::string name, std::shared_ptr<LineWriter> writer)
      : name_(std::move(name)), writer_(std::move(writer)) {}

  // Writes whole lines. A call that was begun and is not over gets its first line before them.
  void Write(std::string_view lines);
  // A call begins whose line is `unfinished` if anything is written before it ends. Returns a mark
  // for End.
  uint64_t BeginCall(std::string_view unfinished);
  // The call is over: calls `line` with whether it has no line yet, and writes what it returns.
  template <class Line>
  void EndCall(uint64_t mark, const Line& line) {
    const std::lock_guard lock(mutex_);
    const bool whole = pending_mark_ == mark;
    if (whole) {
      pending_mark_ = 0;
    } else {
      WritePending();
    }
    writer_->Write(line(whole));
  }

  const std::string& name() const { return name_; }
  void Flush() { writer_->Flush(); }
  // Writes out everything. Empty, or one line about what was lost.
  std::string Finish();

 private:
  void WritePending();

  const std::string name_;
  const std::shared_ptr<LineWriter> writer_;

  std::mutex mutex_;
  // Guarded by mutex_.
  uint64_t last_mark_ = 0;
  uint64_t pending_mark_ = 0;  // zero: no call is pending
  std::string pending_;
};

class Log {
 public:
  // Null, and *error one line, if the files are not what the settings need.
  static std::shared_ptr<Log> Make(const Settings& settings, const std::string& output_name,
                                   const EngineFiles& files, std::string* error);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  const Settings& settings() const { return settings_; }
  const LogFormat& format() const { return *format_; }
  // Of the arguments of calls.
  Format argument_format() const {
    return settings_.format == OutputFormat::kText ? Format::kText : Format::kJson;
  }
  // The file for lines about a process. Made if need be.
  std::shared_ptr<LogFile> FileFor(pid_t pid);
  // A task of this process ended; with the last one no more lines come from it.
  void TaskEnded(pid_t pid, bool last);
  Summary& summary() { return summary_; }

  // Something that the user is to be told at the end.
  void AddProblem(std::string problem);
  // Writes what comes last, and everything out. Returns the problems.
  std::vector<std::string> Finish();

 private:
  Log(const Settings& settings, std::shared_ptr<LogFile> file, int directory);
  std::shared_ptr<LogFile> OpenFor(pid_t pid);
  void End(LogFile& file);

  const Settings settings_;
  const std::unique_ptr<const LogFormat> format_;
  const std::shared_ptr<LogFile> file_;  // of all, or of what belongs to no process
  const int directory_;                  // of files of processes; -1: one file for all

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<pid_t, std::shared_ptr<LogFile>> files_;
  std::vector<std::string> problems_;
  bool ended_ = false;

  Summary summary_;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_LOG_H_
