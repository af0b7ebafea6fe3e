#include "conformance/certify/report_dir.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "conformance/certify/certificate.h"
#include "conformance/certify/junit.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOurFiles[] = {"certificate.json", "certificate.json.part", "junit.xml",
                                          "junit.xml.part"};
constexpr std::string_view kLogs = "logs";

bool HoldsCertificate(const fs::path& directory) {
  const auto document = nlohmann::json::parse(ReadFile(directory / "certificate.json"), nullptr,
                                              /*allow_exceptions=*/false);
  return document.is_object() && document.contains("format") &&
         document["format"] == kCertificateFormat;
}

// What this program does not write and therefore does not remove. Empty if there is nothing.
std::string ForeignEntry(const fs::path& directory, std::error_code* error) {
  const bool ours = HoldsCertificate(directory);
  for (auto entry = fs::directory_iterator(directory, *error);
       !*error && entry != fs::directory_iterator(); entry.increment(*error)) {
    std::string name = entry->path().filename();
    const bool known = name == kLogs || std::find(std::begin(kOurFiles), std::end(kOurFiles),
                                                  name) != std::end(kOurFiles);
    if (!ours || !known) return name;
  }
  return "";
}

}  // namespace

std::unique_ptr<ReportDir> ReportDir::Open(const std::string& path, const ClauseTable& table,
                                           const Report& report, std::string* error) {
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
  for (const std::string_view name : kOurFiles) {
    if (!code) fs::remove(directory / name, code);
  }
  if (!code) fs::remove_all(directory / kLogs, code);
  if (code) {
    *error = fmt::format("cannot clear the report directory {}: {}. Name another with --report DIR",
                         directory.string(), code.message());
    return nullptr;
  }
  std::unique_ptr<ReportDir> opened(new ReportDir(directory.string()));
  if (!opened->Write(table, report, error)) return nullptr;
  return opened;
}

std::string ReportDir::KeepLog(const std::string& from) {
  std::error_code code;
  const fs::path logs = fs::path(path_) / kLogs;
  fs::create_directories(logs, code);
  const std::string name = fs::path(from).filename();
  if (!code) fs::copy_file(from, logs / name, fs::copy_options::overwrite_existing, code);
  return code ? "" : fmt::format("{}/{}", kLogs, name);
}

bool ReportDir::Write(const ClauseTable& table, const Report& report, std::string* error) {
  std::string reason;
  if (WriteFile(certificate(), CertificateJson(table, report), &reason) &&
      WriteFile(path_ + "/junit.xml", JUnitXml(table, report), &reason)) {
    return true;
  }
  *error = reason + ". Make room, or name another directory with --report DIR";
  return false;
}

}  // namespace utrace::certify
