#include "conformance/certify/package.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "conformance/certify/certificate.h"
#include "conformance/certify/digest.h"
#include "conformance/certify/html.h"
#include "conformance/certify/junit.h"
#include "conformance/certify/quote.h"
#include "conformance/certify/record.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSumDigits = 64;
constexpr std::string_view kBeforeName = "  ";

}  // namespace

std::optional<Derived> Derive(const Suite& suite, std::string_view text, std::string* error) {
  std::string reason;
  std::optional<Derived> derived;
  const std::optional<RunRecord> record = ParseRecord(text, &reason);
  if (record) {
    const auto tests = SelectTests(suite.tests, record->selection, *suite.table, &reason);
    derived.emplace();
    if (!tests ||
        !MakeReport(*suite.table, suite.covered, *tests, *record, &derived->report, &reason)) {
      derived.reset();
    }
  }
  if (!derived) {
    *error = fmt::format("{}: {}", kRecordFile, reason);
    return std::nullopt;
  }
  derived->files.emplace(kCertificateFile, CertificateJson(*suite.table, derived->report));
  derived->files.emplace(kPageFile, HtmlPage(*suite.table, derived->report));
  derived->files.emplace(kJUnitFile, JUnitXml(*suite.table, derived->report));
  return derived;
}

std::optional<Sums> SumsOf(const std::string& directory, std::string* error) {
  Sums sums;
  std::error_code code;
  for (fs::recursive_directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    const fs::file_status status = entry->symlink_status(code);
    if (code) break;
    const std::string name = entry->path().lexically_relative(directory).string();
    if (fs::is_directory(status) || name == kSumsFile) continue;
    if (!fs::is_regular_file(status)) {
      *error = name + " is neither a file nor a directory";
      return std::nullopt;
    }
    std::string reason;
    const std::string sum = Sha256OfFile(entry->path(), &reason);
    if (sum.empty()) {
      *error = fmt::format("{} cannot be read: {}", name, reason);
      return std::nullopt;
    }
    sums.emplace(name, sum);
  }
  if (code) {
    *error = fmt::format("the directory cannot be read: {}", code.message());
    return std::nullopt;
  }
  return sums;
}

std::string SumsText(const Sums& sums) {
  std::string text;
  for (const auto& [name, sum] : sums) text += fmt::format("{}{}{}\n", sum, kBeforeName, name);
  return text;
}

std::optional<Sums> ParseSums(std::string_view text, std::string* error) {
  Sums sums;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    const std::string_view sum = line.substr(0, kSumDigits);
    line.remove_prefix(sum.size());
    const bool good = end != std::string_view::npos && sum.size() == kSumDigits &&
                      sum.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
                      line.starts_with(kBeforeName) && line.size() > kBeforeName.size();
    if (!good || !sums.emplace(line.substr(kBeforeName.size()), sum).second) {
      *error = fmt::format("{}: line {}: {}", kSumsFile, number,
                           good ? "this file was named before" : "no sum and name of a file");
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  return sums;
}

std::vector<std::string> SumsProblems(const std::string* text, const Sums& is) {
  if (text == nullptr) return {fmt::format("{} is missing", kSumsFile)};
  std::string error;
  const std::optional<Sums> should = ParseSums(*text, &error);
  if (!should) return {Shown(error)};
  std::vector<std::string> problems;
  for (const auto& [name, sum] : *should) {
    const auto found = is.find(name);
    if (found == is.end()) {
      problems.push_back(fmt::format("{} is missing", Shown(name)));
    } else if (found->second != sum) {
      problems.push_back(fmt::format("{} was changed after the run: {} has another SHA-256 of it",
                                     Shown(name), kSumsFile));
    }
  }
  for (const auto& [name, sum] : is) {
    if (!should->contains(name)) {
      problems.push_back(fmt::format("{} is no part of the package", Shown(name)));
    }
  }
  return problems;
}

}  // namespace utrace::certify
