// Which tests a run makes: the runner's list, cut down to what --only names.
#ifndef CONFORMANCE_CERTIFY_SELECTION_H_
#define CONFORMANCE_CERTIFY_SELECTION_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/clause_table.h"

namespace utrace::certify {

// A clause test: its id is "ATT_05.Name" (what the runner's --gtest_filter takes), its clause
// "ATT-05".
struct TestId {
  std::string id;
  std::string clause;
  std::string name;
};

// Reads the runner's list, one id a line, and puts it into the order of the specification's clauses.
// On a line that is no test id or names no clause of the table, or an id that comes twice: nullopt,
// and *error says which.
std::optional<std::vector<TestId>> ParseTestList(std::string_view list, const ClauseTable& table,
                                                 std::string* error);

// The tests of `tests` that `only` names, in their order; all if `only` is empty. Each entry is a
// clause (ATT-05), a family (ATT), a chapter (3) or a test (ATT_05.Name); the case of letters does
// not matter. An entry that is unknown, or that no test belongs to, gives nullopt and an *error
// that says what could have been meant.
std::optional<std::vector<TestId>> SelectTests(const std::vector<TestId>& tests,
                                               const std::vector<std::string>& only,
                                               const ClauseTable& table, std::string* error);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_SELECTION_H_
