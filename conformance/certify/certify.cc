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

#include "conformance/certify/digest.h"
#include "conformance/certify/driver.h"
#include "conformance/certify/junit.h"
#include "conformance/certify/package.h"
#include "conformance/certify/progress.h"
#include "conformance/certify/record.h"
#include "conformance/certify/report.h"
#include "conformance/certify/report_dir.h"
#include "conformance/certify/runner.h"
#include "conformance/certify/selection.h"
#include "conformance/certify/spec_text.h"
#include "conformance/certify/summary.h"
#include "conformance/certify/supervise.h"
#include "conformance/certify/text.h"
#include "conformance/certify/waivers.h"

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
  explicit Run(const CertifyOptions& options)
      : options_(options), suite_{options.table, options.covered, {}} {
    setup_ = {.runner = Absolute(options.runner),
              .scratch = scratch_.path(),
              .test_deadline = options.test_deadline,
              .probe_deadline = options.probe_deadline};
    record_.tool_version = options.tool_version;
    record_.spec_sha256 = Sha256(kSpecText);
    record_.date = UtcTime("%Y-%m-%dT%H:%M:%SZ");
    record_.machine = ThisMachine();
    record_.selection = options.only;
    if (!options.schedule.empty()) {
      record_.schedules = "--schedule " + options.schedule;
    } else if (options.schedules > 1) {
      record_.schedules = fmt::format("--schedules {}", options.schedules);
    }
    for (const ImplementationOption& implementation : options.implementations) {
      HostRecord& host = record_.hosts.emplace_back();
      host.path = implementation.path;
      host.reproduce = implementation.reproduce_prefix;
    }
  }

  CertifyOutcome All() {
    if (!scratch_.error().empty()) return Refuse(ExitStatus(Overall::kBroken), scratch_.error());
    if (!options_.puppet.empty()) setenv("UTRACE_PUPPET", Absolute(options_.puppet).c_str(), 1);

    std::string error;
    if (!ReadWaivers(&error)) return Refuse(kExitUsage, error);
    auto listed = ListTests(setup_, *suite_.table, &error);
    if (!listed) return Refuse(ExitStatus(Overall::kBroken), error);
    suite_.tests = *std::move(listed);
    auto chosen = SelectTests(suite_.tests, options_.only, *suite_.table, &error);
    if (!chosen) return Refuse(kExitUsage, error);
    tests_ = *std::move(chosen);

    const std::string path = options_.report_dir.empty()
                                 ? UtcTime("utrace-certificate-%Y%m%dT%H%M%SZ")
                                 : options_.report_dir;
    dir_ = ReportDir::Open(path, suite_, record_, &error);
    if (dir_ == nullptr) return Refuse(kExitUsage, error);

    for (size_t n = 0; n < record_.hosts.size() && signal_ == 0; ++n) {
      if (ProbeImplementation(setup_, &record_.hosts[n])) RunHost(n);
    }
    return Conclude();
  }

 private:
  CertifyOutcome Refuse(int status, const std::string& error) {
    fputs(fmt::format("utrace certify: {}\n", error).c_str(), options_.err);
    return {.exit_status = status};
  }

  bool ReadWaivers(std::string* error) {
    if (options_.waivers.empty()) return true;
    std::string reason;
    std::string text;
    if (!ReadWholeFile(options_.waivers, &text, &reason)) {
      *error = fmt::format("the file of waivers {} cannot be read: {}", options_.waivers, reason);
      return false;
    }
    auto waivers = ParseWaivers(text, *suite_.table, &reason);
    if (!waivers) {
      *error = fmt::format("the file of waivers {}: {}", options_.waivers, reason);
      return false;
    }
    record_.waivers = *std::move(waivers);
    return true;
  }

  std::vector<std::string> ScheduleArguments() const {
    if (!options_.schedule.empty()) return {"--schedule", options_.schedule};
    if (options_.schedules > 1) return {"--schedules", std::to_string(options_.schedules)};
    return {};
  }

  void RunHost(size_t index) {
    HostRecord& host = record_.hosts[index];
    const auto start = std::chrono::steady_clock::now();
    const std::string number = std::to_string(index + 1);
    DriverRequest request = {
        .setup = setup_, .implementation = host.path, .tests = tests_, .jobs = options_.jobs};
    if (ReadFacts(host.facts).kind == "hosted") request.arguments = ScheduleArguments();
    request.on_result = [&](const TestResult& result, Evidence* evidence) {
      if (result.verdict == Verdict::kPass || result.verdict == Verdict::kNotApplicable) return;
      evidence->log = dir_->Keep(LogPath(setup_, result.test), fmt::format("{}/{}", kLogs, number));
      evidence->history =
          dir_->Keep(HistoryPath(setup_, result.test), fmt::format("{}/{}", kHistories, number));
    };
    DriverOutcome outcome;
    {
      const std::string label =
          record_.hosts.size() > 1
              ? fmt::format("{}: ", std::filesystem::path(host.path).filename().string())
              : "";
      Progress progress(*suite_.table, tests_, label, options_.err,
                        isatty(fileno(options_.err)) == 1);
      outcome = RunTests(request, &progress);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    host.seconds = elapsed.count();
    host.evidence = std::move(outcome.evidence);
    host.ended = true;
    host.signal = outcome.signal;
    signal_ = outcome.signal;
  }

  // The certificate first: a summary that cannot be printed must not cost it.
  CertifyOutcome Conclude() {
    std::string error;
    Report report;
    bool written = dir_->Write(record_, &report, &error);
    if (written && !options_.junit.empty()) {
      written = WriteFile(options_.junit, JUnitXml(*suite_.table, report), &error);
    }
    int status = ExitStatus(report.overall);
    const std::string certificate = dir_->PathOf(kCertificateFile);
    fputs(Summary(*suite_.table, report, dir_->path(), certificate).c_str(), options_.out);
    fflush(options_.out);
    if (!written) {
      fputs(fmt::format("utrace certify: {}\n", error).c_str(), options_.err);
      if (status == 0) status = ExitStatus(Overall::kBroken);
    }
    return {.exit_status = status, .signal = signal_};
  }

  const CertifyOptions& options_;
  Suite suite_;
  ScratchDir scratch_;
  RunnerSetup setup_;
  RunRecord record_;
  std::vector<TestId> tests_;
  std::unique_ptr<ReportDir> dir_;
  int signal_ = 0;
};

}  // namespace

CertifyOutcome Certify(const CertifyOptions& options) { return Run(options).All(); }

bool ListAllTests(const std::string& runner, const ClauseTable& table, std::vector<TestId>* tests,
                  std::string* error) {
  const ScratchDir scratch;
  if (!scratch.error().empty()) {
    *error = scratch.error();
    return false;
  }
  auto listed = ListTests({.runner = Absolute(runner), .scratch = scratch.path()}, table, error);
  if (!listed) return false;
  *tests = *std::move(listed);
  return true;
}

}  // namespace utrace::certify
