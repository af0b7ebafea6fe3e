// JUnit XML: a case per clause test, for CI systems.
#ifndef CONFORMANCE_CERTIFY_JUNIT_H_
#define CONFORMANCE_CERTIFY_JUNIT_H_

#include <string>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// A failed test of a SHOULD clause counts as skipped with a message, because it fails no run. A run
// that ends badly for a reason that no test bears gets a case of its own.
std::string JUnitXml(const ClauseTable& table, const Report& report);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_JUNIT_H_
