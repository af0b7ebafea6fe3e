// Certificates of many machines as one: what follows from its parts, each a package (package.h).
//
//   parts/NAME/   a package, unchanged; NAME follows from its record
//   merged.json   verdicts by clause and column, for programs: derived from the parts alone, as is the next
//   merged.html   the same for people
//   SHA256SUMS    of all the others, for sha256sum -c
//
// A column is one host of one part: an implementation on a kernel, on a machine.
#ifndef CONFORMANCE_CERTIFY_MERGED_H_
#define CONFORMANCE_CERTIFY_MERGED_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/package.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

inline constexpr std::string_view kMergedFormat = "utrace-merged-1";
inline constexpr std::string_view kMergedFile = "merged.json";
inline constexpr std::string_view kMergedPage = "merged.html";
inline constexpr std::string_view kParts = "parts";

struct Part {
  std::string record_sha256;  // of its results.jsonl
  Report report;
};

// The name of the part's directory: architecture, kernel, machine, and the beginning of the record's sum.
std::string PartName(const Part& part);

// What Linux grew after the kernel of this name ("Linux 6.1.0-18 ..."), as far as utrace has use for it;
// judged by the release alone. Empty for what is no Linux.
std::vector<std::string> LackingFeatures(std::string_view kernel);

struct Column {
  const Part* part = nullptr;
  const HostReport* host = nullptr;
};

struct Merged {
  std::vector<Part> parts;  // by architecture, kernel and machine
  Overall overall = Overall::kIncomplete;
  std::string reason;

  // Valid as long as `parts` is not changed.
  std::vector<Column> Columns() const;
};

// How a clause stands in all columns together: the worst that one of them says; where none tested it,
// why not.
ClauseState StateOf(const Merged& merged, const Clause& clause);

// Puts the parts in order and draws the verdict: that of the worst part. nullopt and *error if there is
// none; if a part is given twice, or two have a column in common; if parts were made by different
// versions of the tool or of the specification, or one has no result of some test.
std::optional<Merged> Merge(std::vector<Part> parts, std::string* error);

std::string MergedJson(const ClauseTable& table, const Merged& merged);
// Loads nothing and runs no script.
std::string MergedHtml(const ClauseTable& table, const Merged& merged);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_MERGED_H_
