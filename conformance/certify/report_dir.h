// The directory that a certificate is written to.
#ifndef CONFORMANCE_CERTIFY_REPORT_DIR_H_
#define CONFORMANCE_CERTIFY_REPORT_DIR_H_

#include <memory>
#include <string>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

class ReportDir {
 public:
  // Makes the directory, or takes one that is empty or holds an earlier certificate, whose files it
  // removes; any other directory is refused. Writes a certificate at once that says INCOMPLETE, so
  // that neither an interrupted run nor a full disk leaves an older verdict standing. Null and
  // *error (what, where, what to do) on failure.
  static std::unique_ptr<ReportDir> Open(const std::string& path, const ClauseTable& table,
                                         const Report& report, std::string* error);

  // Keeps a copy of a test's output, the file `from`; returns its name within the directory, empty
  // if it cannot be kept (the final Write tells of a full disk).
  std::string KeepLog(const std::string& from);

  // Writes certificate.json and junit.xml.
  bool Write(const ClauseTable& table, const Report& report, std::string* error);

  const std::string& path() const { return path_; }  // absolute
  std::string certificate() const { return path_ + "/certificate.json"; }

 private:
  explicit ReportDir(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_REPORT_DIR_H_
