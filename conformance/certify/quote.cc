#include "conformance/certify/quote.h"

#include <fmt/core.h>

#include <algorithm>

#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {
constexpr size_t kMaxShown = 120;
}  // namespace

std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : Trimmed(text).substr(0, kMaxShown)) shown += c < 0x20 || c == 0x7f ? '?' : c;
  return Trimmed(text).size() > kMaxShown ? shown + "..." : shown;
}

std::string_view FirstLine(std::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size()));
}

std::string Difference(std::string_view is, std::string_view should, std::string_view source) {
  size_t line = 1;
  while (!is.empty() && !should.empty() && FirstLine(is) == FirstLine(should)) {
    const size_t size = FirstLine(is).size();
    is.remove_prefix(std::min(size + 1, is.size()));
    should.remove_prefix(std::min(size + 1, should.size()));
    ++line;
  }
  const auto quoted = [](std::string_view text) {
    return text.empty() ? "nothing" : fmt::format("`{}`", Shown(FirstLine(text)));
  };
  return fmt::format("line {}: it says {}, {} say {}", line, quoted(is), source, quoted(should));
}

}  // namespace utrace::certify
