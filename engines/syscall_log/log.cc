#include "engines/syscall_log/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/result.h"
#include "fmt/format.h"

namespace utrace::syscall_log {
namespace {

// As many logs of processes with one number are kept beside each other.
constexpr int kMostOfOneNumber = 1000;

std::unique_ptr<const LogFormat> MakeFormat(const Settings& settings) {
  switch (settings.format) {
    case OutputFormat::kJson:
      return MakeJsonFormat();
    case OutputFormat::kPerfetto:
      return MakePerfettoFormat();
    case OutputFormat::kText:
      break;
  }
  return MakeTextFormat(settings.text);
}

const char* Suffix(OutputFormat format) {
  switch (format) {
    case OutputFormat::kJson:
      return "jsonl";
    case OutputFormat::kPerfetto:
      return "json";
    case OutputFormat::kText:
      break;
  }
  return "log";
}

}  // namespace

// With mutex_ held.
void LogFile::WritePending() {
  if (std::exchange(pending_mark_, 0) != 0) writer_->Write(pending_);
}

void LogFile::Write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  WritePending();
  writer_->Write(lines);
}

uint64_t LogFile::BeginCall(std::string_view unfinished) {
  const std::lock_guard lock(mutex_);
  WritePending();
  pending_ = unfinished;
  pending_mark_ = ++last_mark_;
  return pending_mark_;
}

std::string LogFile::Finish() {
  const std::lock_guard lock(mutex_);
  WritePending();
  const LineWriter::Trouble trouble = writer_->Finish();
  return trouble.lost_lines == 0 ? std::string() : name_ + ": " + trouble.ToString();
}

std::shared_ptr<Log> Log::Make(const Settings& settings, const std::string& output_name,
                               const EngineFiles& files, std::string* error) {
  int directory = -1;
  if (const int given = files.Find("per_process"); given >= 0) {
    directory = fcntl(given, F_DUPFD_CLOEXEC, 3);
    if (directory < 0) {
      *error = "per_process: " + Status(-errno).ToString();
      return nullptr;
    }
  }
  auto file = std::make_shared<LogFile>(output_name, files.Writer("output"));
  return std::shared_ptr<Log>(new Log(settings, std::move(file), directory));
}

Log::Log(const Settings& settings, std::shared_ptr<LogFile> file, int directory)
    : settings_(settings),
      format_(MakeFormat(settings)),
      file_(std::move(file)),
      directory_(directory) {
  if (directory_ >= 0) return;
  Text text;
  format_->Begin(text);
  if (text.size() != 0) file_->Write({text.data(), text.size()});
}

Log::~Log() {
  if (directory_ >= 0) close(directory_);
}

std::shared_ptr<LogFile> Log::FileFor(pid_t pid) {
  if (directory_ < 0) return file_;
  const std::lock_guard lock(mutex_);
  std::shared_ptr<LogFile>& file = files_[pid];
  if (file == nullptr) file = OpenFor(pid);
  return file;
}

// With mutex_ held. Without a file of their own the lines go where those without a process go.
std::shared_ptr<LogFile> Log::OpenFor(pid_t pid) {
  std::string name;
  int fd = -1;
  for (int n = 1; n <= kMostOfOneNumber; ++n) {
    const std::string again = n == 1 ? std::string() : fmt::format(".{}", n);
    name = fmt::format("{}{}.{}", pid, again, Suffix(settings_.format));
    fd = openat(directory_, name.c_str(),
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC, 0666);
    // An older log of this number stays as it is.
    if (fd >= 0 || errno != EEXIST) break;
  }
  if (fd < 0) {
    problems_.push_back(
        fmt::format("cannot write \"{}\" in the directory of per_process: {}; its "
                    "lines go to {}",
                    name, Status(-errno).ToString(), file_->name()));
    return file_;
  }
  auto file =
      std::make_shared<LogFile>(name, std::make_shared<LineWriter>(fd, LineWriter::Limits{}));
  close(fd);
  Text text;
  format_->Begin(text);
  if (text.size() != 0) file->Write({text.data(), text.size()});
  return file;
}

void Log::End(LogFile& file) {
  Text text;
  format_->End(text);
  if (text.size() != 0) file.Write({text.data(), text.size()});
  std::string problem = file.Finish();
  if (!problem.empty()) AddProblem(std::move(problem));
}

void Log::TaskEnded(pid_t pid, bool last) {
  if (directory_ < 0 || !last) return FileFor(pid)->Flush();
  std::shared_ptr<LogFile> file;
  {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(pid);
    if (found == files_.end()) return;
    file = std::move(found->second);
    files_.erase(found);
  }
  // A regular file: this does not wait.
  if (file != file_) End(*file);
}

void Log::AddProblem(std::string problem) {
  const std::lock_guard lock(mutex_);
  problems_.push_back(std::move(problem));
}

std::vector<std::string> Log::Finish() {
  std::map<pid_t, std::shared_ptr<LogFile>> files;
  {
    const std::lock_guard lock(mutex_);
    files = std::exchange(files_, {});
    if (std::exchange(ended_, true)) return std::exchange(problems_, {});
  }
  for (const auto& [pid, file] : files) {
    if (file != file_) End(*file);
  }
  if (settings_.summary) {
    Text text;
    summary_.Append(argument_format(), text);
    file_->Write({text.data(), text.size()});
  }
  if (directory_ < 0) {
    End(*file_);
  } else if (std::string problem = file_->Finish(); !problem.empty()) {
    AddProblem(std::move(problem));
  }
  const std::lock_guard lock(mutex_);
  return std::exchange(problems_, {});
}

}  // namespace utrace::syscall_log
