// certificate.html: the run as one page for people, on a screen of any width and on paper.
#ifndef CONFORMANCE_CERTIFY_HTML_H_
#define CONFORMANCE_CERTIFY_HTML_H_

#include <string>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// A whole document. It loads nothing from elsewhere and runs no script. Texts of the report, which come
// from implementations, stay text in it.
std::string HtmlPage(const ClauseTable& table, const Report& report);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_HTML_H_
