#include "conformance/certify/waivers.h"

#include <fmt/core.h>

#include <algorithm>

#include "conformance/certify/text.h"

namespace utrace::certify {

std::optional<std::vector<Waiver>> ParseWaivers(std::string_view text, const ClauseTable& table,
                                                std::string* error) {
  std::vector<Waiver> waivers;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const size_t blank = std::min(line.find_first_of(" \t"), line.size());
    Waiver waiver;
    waiver.clause = line.substr(0, blank);
    waiver.reason = Utf8(std::string(Trimmed(line.substr(blank))));
    const bool repeated = std::any_of(waivers.begin(), waivers.end(), [&](const Waiver& earlier) {
      return earlier.clause == waiver.clause;
    });
    std::string what;
    if (table.Find(waiver.clause) == nullptr) {
      what = fmt::format("the specification has no clause \"{}\"", waiver.clause);
    } else if (waiver.reason.empty()) {
      what = fmt::format("say behind {} why it is not kept", waiver.clause);
    } else if (repeated) {
      what = fmt::format("{} was waived before", waiver.clause);
    }
    if (!what.empty()) {
      *error = fmt::format("line {}: {}", number, what);
      return std::nullopt;
    }
    waivers.push_back(std::move(waiver));
  }
  return waivers;
}

}  // namespace utrace::certify
