#include "conformance/certify/check.h"

#include <errno.h>
#include <fmt/core.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "conformance/certify/certificate.h"
#include "conformance/certify/digest.h"
#include "conformance/certify/quote.h"
#include "conformance/certify/spec_text.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

// A real one has less than two.
constexpr uintmax_t kMaxFile = 64 << 20;
constexpr size_t kMaxProblems = 20;

class Checker {
 public:
  Checker(const Suite& suite, const Package& package) : suite_(suite), package_(package) {}

  CheckOutcome Check() {
    outcome_.status = kCheckGood;
    CheckSums();
    const auto record = package_.files.find(kRecordFile);
    if (record == package_.files.end()) {
      Unreadable(
          fmt::format("{} is missing: a certificate is checked together with the files beside "
                      "it",
                      kRecordFile));
      return std::move(outcome_);
    }
    std::string error;
    std::optional<Derived> derived = Derive(suite_, record->second, &error);
    if (!derived) {
      Unreadable(Shown(error));
      return std::move(outcome_);
    }
    CheckDerived(*derived);
    CheckReferences(derived->report);
    CheckReport(derived->report);
    outcome_.report = std::move(derived->report);
    return std::move(outcome_);
  }

 private:
  // It is not what a whole run left.
  void Reject(std::string problem) {
    outcome_.whole = false;
    Deny(std::move(problem));
  }
  // It is, but the run was no pass.
  void Deny(std::string problem) {
    outcome_.problems.push_back(std::move(problem));
    outcome_.status = std::max(outcome_.status, kCheckRejected);
  }
  void Unreadable(std::string problem) {
    Reject(std::move(problem));
    outcome_.status = kCheckUnreadable;
  }

  void CheckSums() {
    const auto text = package_.files.find(kSumsFile);
    for (std::string& problem :
         SumsProblems(text == package_.files.end() ? nullptr : &text->second, package_.sums)) {
      Reject(std::move(problem));
    }
  }

  void CheckDerived(const Derived& derived) {
    for (const auto& [name, should] : derived.files) {
      const auto is = package_.files.find(name);
      if (is == package_.files.end()) {
        Reject(name + " is missing");
      } else if (is->second != should) {
        Reject(fmt::format("{} does not follow from {}: {}", name, kRecordFile,
                           Difference(is->second, should, "the results")));
      }
    }
  }

  // Logs and histories that the results name.
  void CheckReferences(const Report& report) {
    for (const HostReport& host : report.hosts) {
      for (const TestResult& result : host.results) {
        for (const std::string& name : {result.log, result.history}) {
          if (!name.empty() && !package_.sums.contains(name)) {
            Reject(fmt::format("{}, which {} refers to, is missing", Shown(name),
                               Shown(result.test.id)));
          }
        }
      }
    }
  }

  void CheckReport(const Report& report) {
    if (report.spec_sha256 != Sha256(kSpecText)) {
      Reject(
          "it was made by another edition of the specification: check it with the utrace that "
          "made it, version " +
          Shown(report.tool_version));
    }
    if (report.IsSelection()) {
      std::string selection;
      for (const std::string& word : report.selection) {
        selection += (selection.empty() ? "" : ",") + word;
      }
      Reject("it was made with a selection, so it certifies nothing: --only " + Shown(selection));
    }
    const auto missing = std::count_if(
        report.untested_must.begin(), report.untested_must.end(),
        [&](const UntestedClause& clause) { return report.FindWaiver(clause.clause) == nullptr; });
    if (missing > 0) {
      for (const UntestedClause& clause : report.untested_must) {
        if (report.FindWaiver(clause.clause) != nullptr) continue;
        Deny(fmt::format("{} was tested on no host ({})", clause.clause, Shown(clause.reason)));
      }
    }
    if (report.overall != Overall::kPass && report.overall != Overall::kPassWithWaivers) {
      Deny(fmt::format("the verdict is {}: {}", OverallName(report.overall),
                       Shown(FirstLine(report.reason))));
    }
  }

  const Suite& suite_;
  const Package& package_;
  CheckOutcome outcome_;
};

// False and *error if the file is there but cannot be used.
bool Load(const fs::path& path, const std::string& name, Package* package, std::string* error) {
  std::error_code code;
  if (!fs::exists(path, code)) return true;
  const uintmax_t size = fs::file_size(path, code);
  if (code || size > kMaxFile) {
    *error = fmt::format("{} cannot be read: {}", path.string(),
                         code ? code.message() : "it is larger than any such file");
    return false;
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file || !file.read(text.data(), static_cast<std::streamsize>(size))) {
    *error = fmt::format("{} cannot be read: {}", path.string(), strerror(errno));
    return false;
  }
  package->files.emplace(name, std::move(text));
  return true;
}

}  // namespace

std::optional<Package> LoadPackage(const std::string& path, std::string* error) {
  std::error_code code;
  const bool is_directory = fs::is_directory(path, code);
  const fs::path parent = fs::path(path).parent_path();
  const fs::path directory = is_directory ? fs::path(path) : parent.empty() ? "." : parent;
  Package package;
  std::optional<Sums> sums = SumsOf(directory, error);
  if (!sums) return std::nullopt;
  package.sums = *std::move(sums);
  std::vector<std::string> names(std::begin(kDerivedFiles), std::end(kDerivedFiles));
  names.emplace_back(kRecordFile);
  names.emplace_back(kSumsFile);
  for (const std::string& name : names) {
    if (!Load(directory / name, name, &package, error)) return std::nullopt;
  }
  if (!package.files.contains(kCertificateFile)) {
    *error = fmt::format("{} holds no {}", directory.string(), kCertificateFile);
    return std::nullopt;
  }
  const std::string& certificate = package.files.find(kCertificateFile)->second;
  if (std::string_view(certificate).substr(0, 200).find(kCertificateFormat) ==
      std::string_view::npos) {
    *error = fmt::format("{} is no certificate of the format {}",
                         (directory / kCertificateFile).string(), kCertificateFormat);
    return std::nullopt;
  }
  return package;
}

namespace {

void PrintReport(const Report& report, FILE* out) {
  for (const HostReport& host : report.hosts) {
    const ChapterTotals sum = Sum(TotalsByChapter(ClauseTable::BuiltIn(), host));
    fputs(fmt::format("{}: {}, {} of {} tests passed, {}\n", host.name, OverallName(host.overall),
                      sum.of(Verdict::kPass), sum.tests, Shown(host.path))
              .c_str(),
          out);
  }
  for (const Waiver& waiver : report.waivers) {
    fputs(fmt::format("waiver: {}: {}\n", waiver.clause, Shown(waiver.reason)).c_str(), out);
  }
  fputs(fmt::format("verdict: {}\n", OverallName(report.overall)).c_str(), out);
}

}  // namespace

CheckOutcome CheckPackage(const Suite& suite, const Package& package) {
  return Checker(suite, package).Check();
}

bool IsCertificate(const std::string& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) return true;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 200> head{};
  file.read(head.data(), head.size());
  return std::string_view(head.data(), file.gcount()).find("\"utrace-certificate-") !=
         std::string_view::npos;
}

int CheckCertificate(const Suite& suite, const std::string& path, FILE* out, FILE* err) {
  const auto complain = [&](const std::string& what) {
    fputs(fmt::format("{}: {}\n", path, what).c_str(), err);
  };
  std::string error;
  const std::optional<Package> package = LoadPackage(path, &error);
  if (!package) {
    complain(error);
    return kCheckUnreadable;
  }
  const CheckOutcome outcome = CheckPackage(suite, *package);
  for (size_t n = 0; n < std::min(outcome.problems.size(), kMaxProblems); ++n) {
    complain(outcome.problems[n]);
  }
  if (outcome.problems.size() > kMaxProblems) {
    complain(fmt::format("and {} more", outcome.problems.size() - kMaxProblems));
  }
  if (outcome.report) PrintReport(*outcome.report, out);
  fputs(
      outcome.status == kCheckGood ? "the certificate is whole\n" : "the certificate is rejected\n",
      out);
  if (fflush(out) != 0 || ferror(out) != 0) {
    complain(fmt::format("the verdict cannot be written: {}", strerror(errno)));
    return kCheckUnreadable;
  }
  return outcome.status;
}

}  // namespace utrace::certify
