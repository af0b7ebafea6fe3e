#include "conformance/certify/merge.h"

#include <errno.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "conformance/certify/check.h"
#include "conformance/certify/digest.h"
#include "conformance/certify/merged.h"
#include "conformance/certify/quote.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

constexpr int kExitRejected = 2;
constexpr int kExitUnwritten = 4;
constexpr size_t kMaxProblems = 20;

// A new directory beside the one that it will become; removed unless it does.
class NewDirectory {
 public:
  static std::optional<NewDirectory> Beside(const fs::path& path, std::string* error) {
    std::error_code code;
    const fs::path absolute = fs::absolute(path, code).lexically_normal();
    // "out/" and "out" are one.
    const fs::path target = absolute.has_filename() ? absolute : absolute.parent_path();
    if (!code && fs::exists(target, code) && !code && !fs::is_empty(target, code) && !code) {
      *error = target.string() + " exists and is not empty";
      return std::nullopt;
    }
    if (!code) fs::create_directories(target.parent_path(), code);
    std::string name = target.string() + ".XXXXXX";
    if (code || mkdtemp(name.data()) == nullptr) {
      *error = fmt::format("cannot make {}: {}", target.string(),
                           code ? code.message() : strerror(errno));
      return std::nullopt;
    }
    NewDirectory directory(name, target);
    fs::permissions(name,
                    fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                        fs::perms::others_read | fs::perms::others_exec,
                    code);
    return directory;
  }
  NewDirectory(NewDirectory&& other) noexcept
      : path_(std::exchange(other.path_, "")), target_(std::move(other.target_)) {}
  NewDirectory& operator=(NewDirectory&&) = delete;
  ~NewDirectory() {
    std::error_code code;
    if (!path_.empty()) fs::remove_all(path_, code);
  }

  const fs::path& path() const { return path_; }
  const fs::path& target() const { return target_; }
  bool Become(std::string* error) {
    std::error_code code;
    fs::rename(path_, target_, code);
    if (code) {
      *error = fmt::format("cannot make {}: {}", target_.string(), code.message());
      return false;
    }
    path_.clear();
    return true;
  }

 private:
  NewDirectory(fs::path path, fs::path target)
      : path_(std::move(path)), target_(std::move(target)) {}
  fs::path path_;
  fs::path target_;
};

// The part that the directory holds; its problems, if it is not what a whole run left.
std::optional<Part> LoadPart(const Suite& suite, const fs::path& directory,
                             std::vector<std::string>* problems) {
  std::string error;
  const std::optional<Package> package = LoadPackage(directory, &error);
  if (!package) {
    problems->push_back(error);
    return std::nullopt;
  }
  CheckOutcome outcome = CheckPackage(suite, *package);
  if (!outcome.whole || !outcome.report) {
    *problems = std::move(outcome.problems);
    return std::nullopt;
  }
  return Part{Sha256(package->files.find(kRecordFile)->second), *std::move(outcome.report)};
}

std::map<std::string, std::string, std::less<>> DerivedFrom(const Suite& suite,
                                                            const Merged& merged) {
  std::map<std::string, std::string, std::less<>> files;
  files.emplace(kMergedFile, MergedJson(*suite.table, merged));
  files.emplace(kMergedPage, MergedHtml(*suite.table, merged));
  return files;
}

void PrintMerged(const ClauseTable& table, const Merged& merged, FILE* out) {
  for (const Column& column : merged.Columns()) {
    const ChapterTotals sum = Sum(TotalsByChapter(table, *column.host));
    fputs(
        fmt::format("{} {}: {}, {} of {} tests passed\n", PartName(*column.part), column.host->name,
                    OverallName(column.host->overall), sum.of(Verdict::kPass), sum.tests)
            .c_str(),
        out);
  }
  fputs(fmt::format("verdict: {}\n", OverallName(merged.overall)).c_str(), out);
}

bool Flushed(FILE* out) { return fflush(out) == 0 && ferror(out) == 0; }

class MergedChecker {
 public:
  MergedChecker(const Suite& suite, fs::path directory)
      : suite_(suite), directory_(std::move(directory)) {}

  void Check() {
    CheckSums();
    std::vector<Part> parts;
    if (!LoadParts(&parts)) return;
    std::string error;
    merged_ = Merge(std::move(parts), &error);
    if (!merged_) {
      Reject(Shown(error));
      return;
    }
    CheckNames();
    for (const auto& [name, should] : DerivedFrom(suite_, *merged_)) {
      std::string is;
      if (!ReadWholeFile(directory_ / name, &is, &error)) {
        Reject(fmt::format("{} cannot be read: {}", name, error));
      } else if (is != should) {
        Reject(fmt::format("{} does not follow from the parts: {}", name,
                           Difference(is, should, "the parts")));
      }
    }
    if (merged_->overall != Overall::kPass && merged_->overall != Overall::kPassWithWaivers) {
      Reject(fmt::format("the verdict is {}: {}", OverallName(merged_->overall),
                         Shown(FirstLine(merged_->reason))));
    }
  }

  const std::vector<std::string>& problems() const { return problems_; }
  const std::optional<Merged>& merged() const { return merged_; }

 private:
  void Reject(std::string problem) { problems_.push_back(std::move(problem)); }

  void CheckSums() {
    std::string error;
    const std::optional<Sums> sums = SumsOf(directory_, &error);
    if (!sums) {
      Reject(Shown(error));
      return;
    }
    std::string text;
    const bool there = ReadWholeFile(directory_ / kSumsFile, &text, &error);
    for (std::string& problem : SumsProblems(there ? &text : nullptr, *sums)) {
      Reject(std::move(problem));
    }
  }

  bool LoadParts(std::vector<Part>* parts) {
    std::error_code code;
    std::vector<fs::path> paths;
    for (fs::directory_iterator entry(directory_ / kParts, code), end; !code && entry != end;
         entry.increment(code)) {
      paths.push_back(entry->path());
    }
    if (code) Reject(fmt::format("{} cannot be read: {}", kParts, code.message()));
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      std::vector<std::string> problems;
      std::optional<Part> part = LoadPart(suite_, path, &problems);
      const std::string name = path.filename();
      for (const std::string& problem : problems) Reject(Shown(name) + ": " + problem);
      if (!part) continue;
      names_.push_back(name);
      parts->push_back(*std::move(part));
    }
    return !code && parts->size() == paths.size();
  }

  void CheckNames() {
    std::vector<std::string> should;
    for (const Part& part : merged_->parts) should.push_back(PartName(part));
    for (const std::string& name : names_) {
      if (std::find(should.begin(), should.end(), name) == should.end()) {
        Reject(fmt::format("{}/{} does not bear the name of what it holds", kParts, Shown(name)));
      }
    }
  }

  const Suite& suite_;
  const fs::path directory_;
  std::vector<std::string> names_;
  std::vector<std::string> problems_;
  std::optional<Merged> merged_;
};

}  // namespace

int MergeCertificates(const Suite& suite, const std::vector<std::string>& paths,
                      const std::string& out, FILE* out_stream, FILE* err) {
  const auto complain = [&](const std::string& what) {
    fputs(fmt::format("utrace merge: {}\n", what).c_str(), err);
  };
  std::string error;
  std::optional<NewDirectory> directory = NewDirectory::Beside(out, &error);
  if (!directory) {
    complain(error + ". Name another with --report DIR");
    return kExitRejected;
  }
  // What is checked are the copies: nobody changes them.
  std::vector<Part> parts;
  std::vector<fs::path> copies;
  bool rejected = false;
  for (const std::string& path : paths) {
    const fs::path copy = directory->path() / kParts / std::to_string(copies.size());
    std::error_code code;
    if (!fs::is_directory(path, code) || IsMerged(path)) {
      complain(path + (IsMerged(path) ? ": these are merged certificates: name their parts"
                                      : ": is not the directory of a certificate"));
      rejected = true;
      continue;
    }
    fs::create_directories(copy.parent_path(), code);
    if (!code)
      fs::copy(path, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks, code);
    if (code) {
      complain(fmt::format("{} cannot be copied to {}: {}", path, copy.string(), code.message()));
      return kExitUnwritten;
    }
    std::vector<std::string> problems;
    std::optional<Part> part = LoadPart(suite, copy, &problems);
    if (!part) {
      rejected = true;
      for (size_t n = 0; n < std::min(problems.size(), kMaxProblems); ++n) {
        complain(path + ": " + problems[n]);
      }
      continue;
    }
    copies.push_back(copy);
    parts.push_back(*std::move(part));
  }
  std::vector<std::string> names;
  for (const Part& part : parts) names.push_back(PartName(part));
  std::optional<Merged> merged;
  if (!rejected) {
    merged = Merge(std::move(parts), &error);
    if (!merged) complain(error);
  }
  if (!merged) return kExitRejected;

  std::error_code code;
  for (size_t n = 0; n < copies.size() && !code; ++n) {
    fs::rename(copies[n], copies[n].parent_path() / names[n], code);
  }
  bool written = !code;
  if (code) error = code.message();
  for (const auto& [name, content] : DerivedFrom(suite, *merged)) {
    written = written && WriteFile(directory->path() / name, content, &error);
  }
  const std::optional<Sums> sums = written ? SumsOf(directory->path(), &error) : std::nullopt;
  if (!sums || !WriteFile(directory->path() / kSumsFile, SumsText(*sums), &error) ||
      !directory->Become(&error)) {
    complain(error + ". Make room, or name another directory with --report DIR");
    return kExitUnwritten;
  }
  PrintMerged(*suite.table, *merged, out_stream);
  fputs(fmt::format("certificate: {}/{}\n", directory->target().string(), kMergedPage).c_str(),
        out_stream);
  return Flushed(out_stream) ? ExitStatus(merged->overall) : kExitUnwritten;
}

bool IsMerged(const std::string& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) {
    return fs::exists(fs::path(path) / kMergedFile, code) ||
           fs::is_directory(fs::path(path) / kParts, code);
  }
  std::ifstream file(path, std::ios::binary);
  std::array<char, 200> head{};
  file.read(head.data(), head.size());
  return std::string_view(head.data(), file.gcount()).find("\"utrace-merged-") !=
         std::string_view::npos;
}

int CheckMerged(const Suite& suite, const std::string& path, FILE* out, FILE* err) {
  std::error_code code;
  const fs::path parent = fs::path(path).parent_path();
  MergedChecker checker(suite, fs::is_directory(path, code) ? fs::path(path)
                               : parent.empty()             ? "."
                                                            : parent);
  checker.Check();
  const std::vector<std::string>& problems = checker.problems();
  for (size_t n = 0; n < std::min(problems.size(), kMaxProblems); ++n) {
    fputs(fmt::format("{}: {}\n", path, problems[n]).c_str(), err);
  }
  if (problems.size() > kMaxProblems) {
    fputs(fmt::format("{}: and {} more\n", path, problems.size() - kMaxProblems).c_str(), err);
  }
  if (checker.merged()) PrintMerged(*suite.table, *checker.merged(), out);
  fputs(problems.empty() ? "the certificates are whole\n" : "the certificates are rejected\n", out);
  if (!Flushed(out)) {
    fputs(fmt::format("{}: the verdict cannot be written: {}\n", path, strerror(errno)).c_str(),
          err);
    return kCheckUnreadable;
  }
  return problems.empty() ? kCheckGood : checker.merged() ? kCheckRejected : kCheckUnreadable;
}

}  // namespace utrace::certify
