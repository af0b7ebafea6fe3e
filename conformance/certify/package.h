// A certificate as a set of files: one record, and what is derived from it.
//
//   results.jsonl     the record (record.h)
//   certificate.json  verdicts, for programs: derived from the record alone, as are the next
//   certificate.html  the same for people
//   junit.xml         the same for CI systems
//   logs/, histories/ what the record refers to
//   SHA256SUMS        of all the others, for sha256sum -c
#ifndef CONFORMANCE_CERTIFY_PACKAGE_H_
#define CONFORMANCE_CERTIFY_PACKAGE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"
#include "conformance/certify/selection.h"

namespace utrace::certify {

inline constexpr std::string_view kRecordFile = "results.jsonl";
inline constexpr std::string_view kCertificateFile = "certificate.json";
inline constexpr std::string_view kPageFile = "certificate.html";
inline constexpr std::string_view kJUnitFile = "junit.xml";
inline constexpr std::string_view kSumsFile = "SHA256SUMS";
inline constexpr std::string_view kDerivedFiles[] = {kCertificateFile, kPageFile, kJUnitFile};
inline constexpr std::string_view kLogs = "logs";
inline constexpr std::string_view kHistories = "histories";

// What a run is measured by.
struct Suite {
  const ClauseTable* table = nullptr;
  std::vector<int> covered;   // chapters each MUST clause of which has to be tested
  std::vector<TestId> tests;  // all there are, in the order of the specification
};

struct Derived {
  Report report;
  std::map<std::string, std::string, std::less<>> files;  // kDerivedFiles and their contents
};

// Everything that follows from the text of a record. nullopt and *error if it is no record, or not
// one of this suite.
std::optional<Derived> Derive(const Suite& suite, std::string_view record, std::string* error);

// The names of files in a package (relative to its directory) and their SHA-256 sums.
using Sums = std::map<std::string, std::string, std::less<>>;
// The sums of all files below the directory but SHA256SUMS itself. nullopt and *error if one cannot
// be read, or is neither a regular file nor a directory.
std::optional<Sums> SumsOf(const std::string& directory, std::string* error);
std::string SumsText(const Sums& sums);
// nullopt and *error on a line that sha256sum would not have written, or a name that comes twice.
std::optional<Sums> ParseSums(std::string_view text, std::string* error);
// How the files, which have the sums `is`, differ from what SHA256SUMS says; null: there is no such file.
std::vector<std::string> SumsProblems(const std::string* text, const Sums& is);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_PACKAGE_H_
