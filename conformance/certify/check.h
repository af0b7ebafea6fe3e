// `utrace check` for certificates: whether a package is what a run left, and what it certifies.
//
// The record is read again, every verdict is drawn again from it, and what the package derives from it
// has to be, byte for byte, what comes out now. The sums tell of accidents and of careless edits,
// this tells of edits that do not fit each other. Who edits the record, derives everything anew and
// sums it up again is not found out: that takes a signature, or another run.
#ifndef CONFORMANCE_CERTIFY_CHECK_H_
#define CONFORMANCE_CERTIFY_CHECK_H_

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "conformance/certify/package.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

inline constexpr int kCheckGood = 0;      // whole, and the contract is kept
inline constexpr int kCheckRejected = 1;  // not whole, or it certifies nothing
inline constexpr int kCheckUnreadable = 3;

// The files of a package, in memory.
struct Package {
  Sums sums;  // of all files but SHA256SUMS, as they are now
  // The contents of SHA256SUMS, of the record and of what is derived; a missing file has no entry.
  std::map<std::string, std::string, std::less<>> files;
};

struct CheckOutcome {
  int status = kCheckUnreadable;
  bool whole = true;                  // what a run over the whole suite left, whatever its verdict
  std::vector<std::string> problems;  // what is wrong with the package or its verdict; no newlines
  std::optional<Report> report;       // what the record says, if it can be read
};
// `package` may come from anywhere.
CheckOutcome CheckPackage(const Suite& suite, const Package& package);

// Reads the package that is the directory `path`, or whose certificate.json it is. nullopt and *error if
// that is none, or cannot be read.
std::optional<Package> LoadPackage(const std::string& path, std::string* error);

// Whether `path` is something for CheckCertificate: a directory, or a file that calls itself a
// certificate.
bool IsCertificate(const std::string& path);

// Checks the package that is the directory `path`, or whose certificate.json it is. Prints the
// verdict to `out`, what is wrong to `err`. Returns one of the statuses above.
int CheckCertificate(const Suite& suite, const std::string& path, FILE* out, FILE* err);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_CHECK_H_
