// The directory that a certificate is written to.
#ifndef CONFORMANCE_CERTIFY_REPORT_DIR_H_
#define CONFORMANCE_CERTIFY_REPORT_DIR_H_

#include <memory>
#include <string>
#include <string_view>

#include "conformance/certify/package.h"
#include "conformance/certify/record.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

class ReportDir {
 public:
  // Makes the directory, or takes one that is empty or holds an earlier certificate, whose files it
  // removes; any other directory is refused. Writes a certificate at once that says INCOMPLETE, so
  // that neither an interrupted run nor a full disk leaves an older verdict standing. `suite` lives
  // as long as the result. Null and *error (what, where, what to do) on failure.
  static std::unique_ptr<ReportDir> Open(const std::string& path, const Suite& suite,
                                         const RunRecord& record, std::string* error);

  // Keeps a copy of a test's output or history, the file `from`, in the subdirectory `in`; returns its
  // name within the directory, empty if there is no such file or it cannot be kept (the final Write
  // tells of a full disk).
  std::string Keep(const std::string& from, const std::string& in);

  // Writes the record, all that is derived from it, and the sums. *report is what comes out, also
  // where it cannot be written: then false and *error.
  bool Write(const RunRecord& record, Report* report, std::string* error);

  const std::string& path() const { return path_; }  // absolute
  std::string PathOf(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  ReportDir(std::string path, const Suite* suite) : path_(std::move(path)), suite_(*suite) {}

  std::string path_;
  const Suite& suite_;
};

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_REPORT_DIR_H_
