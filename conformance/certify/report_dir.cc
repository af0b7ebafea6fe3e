#include "conformance/certify/report_dir.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPart = ".part";

// What we write there, now or in an earlier version.
bool IsOurs(const std::string& name) {
  std::string_view whole = name;
  if (whole.ends_with(kPart)) whole.remove_suffix(kPart.size());
  static constexpr std::string_view kOthers[] = {kRecordFile, kSumsFile};
  return std::find(std::begin(kDerivedFiles), std::end(kDerivedFiles), whole) !=
             std::end(kDerivedFiles) ||
         std::find(std::begin(kOthers), std::end(kOthers), whole) != std::end(kOthers) ||
         name == kLogs || name == kHistories;
}

bool HoldsCertificate(const fs::path& directory) {
  const auto document = nlohmann::json::parse(ReadFile(directory / kCertificateFile), nullptr,
                                              /*allow_exceptions=*/false);
  return document.is_object() && document.contains("format") && document["format"].is_string() &&
         document["format"].get<std::string>().starts_with("utrace-certificate-");
}

// What this program does not write and therefore does not remove. Empty if there is nothing.
std::string ForeignEntry(const fs::path& directory, std::error_code* error) {
  const bool ours = HoldsCertificate(directory);
  for (auto entry = fs::directory_iterator(directory, *error);
       !*error && entry != fs::directory_iterator(); entry.increment(*error)) {
    std::string name = entry->path().filename();
    if (!ours || !IsOurs(name)) return name;
  }
  return "";
}

}  // namespace

std::unique_ptr<ReportDir> ReportDir::Open(const std::string& path, const Suite& suite,
                                           const RunRecord& record, std::string* error) {
  std::error_code code;
  const fs::path directory = fs::absolute(path, code).lexically_normal();
  if (!code) fs::create_directories(directory, code);
  if (code) {
    *error = fmt::format("cannot make the report directory {}: {}. Name another with --report DIR",
                         path, code.message());
    return nullptr;
  }
  const std::string foreign = ForeignEntry(directory, &code);
  if (!foreign.empty()) {
    *error = fmt::format(
        "the report directory {} holds \"{}\", which is no part of an earlier "
        "certificate. Empty it, or name another with --report DIR",
        directory.string(), foreign);
    return nullptr;
  }
  for (auto entry = fs::directory_iterator(directory, code);
       !code && entry != fs::directory_iterator(); entry.increment(code)) {
    fs::remove_all(entry->path(), code);
  }
  if (code) {
    *error = fmt::format("cannot clear the report directory {}: {}. Name another with --report DIR",
                         directory.string(), code.message());
    return nullptr;
  }
  std::unique_ptr<ReportDir> opened(new ReportDir(directory.string(), &suite));
  Report report;
  if (!opened->Write(record, &report, error)) return nullptr;
  return opened;
}

std::string ReportDir::Keep(const std::string& from, const std::string& in) {
  std::error_code code;
  if (!fs::is_regular_file(from, code)) return "";
  fs::create_directories(fs::path(path_) / in, code);
  const std::string name = in + "/" + fs::path(from).filename().string();
  if (!code) {
    fs::copy_file(from, fs::path(path_) / name, fs::copy_options::overwrite_existing, code);
  }
  return code ? "" : name;
}

bool ReportDir::Write(const RunRecord& record, Report* report, std::string* error) {
  const std::string text = RecordText(record);
  std::optional<Derived> derived = Derive(suite_, text, error);
  if (!derived) return false;  // a mistake of ours: nobody else wrote the record
  *report = std::move(derived->report);
  derived->files.emplace(kRecordFile, text);
  std::string reason;
  bool written = true;
  for (const auto& [name, content] : derived->files) {
    written = written && WriteFile(PathOf(name), content, &reason);
  }
  const std::optional<Sums> sums = written ? SumsOf(path_, &reason) : std::nullopt;
  if (sums && WriteFile(PathOf(kSumsFile), SumsText(*sums), &reason)) return true;
  *error = reason + ". Make room, or name another directory with --report DIR";
  return false;
}

}  // namespace utrace::certify
