// Files of waivers: clauses that an implementer declares not to keep.
//
//   # comment
//   CTL-22  our kernel restarts the call; see ticket 17
//
// A line names a clause, then says why it is not kept. Empty lines and lines that begin with '#' do
// not count.
#ifndef CONFORMANCE_CERTIFY_WAIVERS_H_
#define CONFORMANCE_CERTIFY_WAIVERS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/record.h"

namespace utrace::certify {

// In the order of the file. nullopt and *error, which names the line, for a clause that `table` does
// not have, one without a reason, or one that was there before.
std::optional<std::vector<Waiver>> ParseWaivers(std::string_view text, const ClauseTable& table,
                                                std::string* error);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_WAIVERS_H_
