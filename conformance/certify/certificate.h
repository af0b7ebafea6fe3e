// certificate.json: the run in machine-readable form, as certificate.schema.json describes it.
#ifndef CONFORMANCE_CERTIFY_CERTIFICATE_H_
#define CONFORMANCE_CERTIFY_CERTIFICATE_H_

#include <string>
#include <string_view>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// Changes whenever a reader would have to.
inline constexpr std::string_view kCertificateFormat = "utrace-certificate-2";

std::string CertificateJson(const ClauseTable& table, const Report& report);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_CERTIFICATE_H_
