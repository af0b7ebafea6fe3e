// The summary of a run for people.
#ifndef CONFORMANCE_CERTIFY_SUMMARY_H_
#define CONFORMANCE_CERTIFY_SUMMARY_H_

#include <string>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// What did not pass, a table per chapter, and on the last two lines the verdict and the path of the
// certificate. `directory` is where the kept logs lie.
std::string Summary(const ClauseTable& table, const Report& report, const std::string& directory,
                    const std::string& certificate);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_SUMMARY_H_
