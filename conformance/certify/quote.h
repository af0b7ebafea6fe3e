// Quoting what comes from a file of whatever origin, in messages.
#ifndef CONFORMANCE_CERTIFY_QUOTE_H_
#define CONFORMANCE_CERTIFY_QUOTE_H_

#include <string>
#include <string_view>

namespace utrace::certify {

// What comes from a file, as part of a message: short, and harmless to a terminal.
std::string Shown(std::string_view text);

std::string_view FirstLine(std::string_view text);

// Where two texts part: "line 7: it says X, SOURCE say Y". `source`: what says how it should be.
std::string Difference(std::string_view is, std::string_view should, std::string_view source);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_QUOTE_H_
