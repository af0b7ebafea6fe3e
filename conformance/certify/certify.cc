#include "conformance/certify/certify.h"

#include <errno.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "conformance/certify/driver.h"
#include "conformance/certify/junit.h"
#include "conformance/certify/progress.h"
#include "conformance/certify/report.h"
#include "conformance/certify/report_dir.h"
#include "conformance/certify/runner.h"
#include "conformance/certify/selection.h"
#include "conformance/certify/summary.h"
#include "conformance/certify/supervise.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

std::string UtcTime(const char* format) {
  const time_t now = time(nullptr);
  tm broken_down{};
  gmtime_r(&now, &broken_down);
  char text[64];
  return {text, strftime(text, sizeof(text), format, &broken_down)};
}

std::string Absolute(const std::string& path) {
  std::error_code code;
  const std::filesystem::path absolute = std::filesystem::absolute(path, code);
  return code ? path : absolute.string();
}

// A directory for logs and results while the tests run.
class ScratchDir {
 public:
  ScratchDir() {
    const char* parent = getenv("TMPDIR");
    path_ = fmt::format("{}/utrace-certify.XXXXXX",
                        parent != nullptr && *parent != '\0' ? parent : "/tmp");
    if (mkdtemp(path_.data()) == nullptr) {
      error_ = fmt::format(
          "cannot make a working directory {}: {}. Set TMPDIR to a directory that "
          "can be written",
          path_, strerror(errno));
      path_.clear();
    }
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  ~ScratchDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  const std::string& error() const { return error_; }

 private:
  std::string path_;
  std::string error_;
};

class Run {
 public:
  explicit Run(const CertifyOptions& options) : options_(options), table_(*options.table) {
    setup_ = {.runner = Absolute(options.runner),
              .scratch = scratch_.path(),
              .test_deadline = options.test_deadline,
              .probe_deadline = options.probe_deadline};
    report_.tool_version = options.tool_version;
    report_.date = UtcTime("%Y-%m-%dT%H:%M:%SZ");
    report_.machine = ThisMachine();
    report_.selection = options.only;
    report_.reproduce_prefix = options.reproduce_prefix;
    report_.implementation.path = options.implementation;
    report_.reason = "the run has not ended";
  }

  CertifyOutcome All() {
    if (!scratch_.error().empty()) return Refuse(ExitStatus(Overall::kBroken), scratch_.error());
    if (!options_.puppet.empty()) setenv("UTRACE_PUPPET", Absolute(options_.puppet).c_str(), 1);

    std::string error;
    auto listed = ListTests(setup_, table_, &error);
    if (!listed) return Refuse(ExitStatus(Overall::kBroken), error);
    auto chosen = SelectTests(*listed, options_.only, table_, &error);
    if (!chosen) return Refuse(kExitUsage, error);
    tests_ = *std::move(chosen);

    const std::string path = options_.report_dir.empty()
                                 ? UtcTime("utrace-certificate-%Y%m%dT%H%M%SZ")
                                 : options_.report_dir;
    dir_ = ReportDir::Open(path, table_, report_, &error);
    if (dir_ == nullptr) return Refuse(kExitUsage, error);

    ProbeOutcome probe = ProbeImplementation(setup_, options_.implementation);
    if (probe.overall != Overall::kIncomplete) {
      report_.overall = probe.overall;
      report_.reason = probe.error;
      return Conclude();
    }
    report_.implementation = std::move(probe.implementation);
    RunAll();
    return Conclude();
  }

 private:
  CertifyOutcome Refuse(int status, const std::string& error) {
    fputs(fmt::format("utrace certify: {}\n", error).c_str(), options_.err);
    return {.exit_status = status};
  }

  void RunAll() {
    const auto start = std::chrono::steady_clock::now();
    DriverRequest request = {.setup = setup_,
                             .implementation = report_.implementation.path,
                             .tests = tests_,
                             .jobs = options_.jobs};
    request.on_result = [this](TestResult& result) {
      if (result.verdict != Verdict::kPass) {
        result.log = dir_->KeepLog(LogPath(setup_, result.test));
      }
    };
    DriverOutcome outcome;
    {
      Progress progress(table_, tests_, options_.err, isatty(fileno(options_.err)) == 1);
      outcome = RunTests(request, &progress);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    report_.seconds = elapsed.count();
    report_.results = std::move(outcome.results);
    signal_ = outcome.signal;
    if (outcome.gave_up) {
      report_.overall = Overall::kUnusable;
      report_.reason = fmt::format(
          "the implementation hangs: {} tests in a row did not end, so "
          "the run was given up",
          kHangsToGiveUp);
    } else if (signal_ != 0) {
      report_.overall = Overall::kIncomplete;
      report_.reason = "ended by " + SignalText(signal_);
    } else {
      Judge(table_, options_.covered, &report_);
    }
  }

  // The certificate first: a summary that cannot be printed must not cost it.
  CertifyOutcome Conclude() {
    int status = ExitStatus(report_.overall);
    std::string error;
    bool written = dir_->Write(table_, report_, &error);
    if (written && !options_.junit.empty()) {
      written = WriteFile(options_.junit, JUnitXml(table_, report_), &error);
    }
    fputs(Summary(table_, report_, dir_->path(), dir_->certificate()).c_str(), options_.out);
    fflush(options_.out);
    if (!written) {
      fputs(fmt::format("utrace certify: {}\n", error).c_str(), options_.err);
      if (status == 0) status = ExitStatus(Overall::kBroken);
    }
    return {.exit_status = status, .signal = signal_};
  }

  const CertifyOptions& options_;
  const ClauseTable& table_;
  ScratchDir scratch_;
  RunnerSetup setup_;
  Report report_;
  std::vector<TestId> tests_;
  std::unique_ptr<ReportDir> dir_;
  int signal_ = 0;
};

}  // namespace

CertifyOutcome Certify(const CertifyOptions& options) { return Run(options).All(); }

}  // namespace utrace::certify
