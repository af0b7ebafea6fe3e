// What the pieces of certificate.html are made of.
#ifndef CONFORMANCE_CERTIFY_HTML_PARTS_H_
#define CONFORMANCE_CERTIFY_HTML_PARTS_H_

#include <string>
#include <string_view>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// certificate.css. Defined by a generated file.
extern const std::string_view kPageStyle;
// merged.css, likewise: what merged.html has beyond that.
extern const std::string_view kMergedStyle;

// A document up to its <body>. Its policy forbids scripts, and to load anything.
std::string PageHead(std::string_view title, std::string_view style);

// `text` as text of a document or value of a quoted attribute. Control characters, and those that turn
// the direction of writing, become U+FFFD.
std::string HtmlText(std::string_view text);

// A paragraph of the specification, in which `code` is marked so.
std::string SpecText(std::string_view text);

// The names of states as CSS classes ("not-run"), and the signs that tell them apart without colour.
std::string ClassOf(ClauseState state);
std::string ClassOf(Verdict verdict);
std::string ClassOf(Overall overall);
std::string_view SignOf(ClauseState state);

// <span class="badge ...">NAME</span>
std::string Badge(std::string_view name, const std::string& css_class);

// A row of a <dl>; empty if `html` is. `html` is markup.
std::string Fact(std::string_view label, const std::string& html);
// The same for plain text that may have several lines, and for something to be copied.
std::string TextFact(std::string_view label, std::string_view text);
std::string CodeFact(std::string_view label, std::string_view text);
// The same for recorded lines.
std::string RecordFact(std::string_view label, std::string_view text);

// The sections of html_clauses.cc. What did not pass, each test with all that is known of it:
std::string FailuresSection(const ClauseTable& table, const Report& report);
// MUST clauses that were not tested, by host and reason:
std::string UntestedSection(const Report& report);
// Every clause, chapter by chapter:
std::string ClausesSection(const ClauseTable& table, const Report& report);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_HTML_PARTS_H_
