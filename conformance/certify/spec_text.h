// The text of docs/spec.md as it was when this program was built.
#ifndef CONFORMANCE_CERTIFY_SPEC_TEXT_H_
#define CONFORMANCE_CERTIFY_SPEC_TEXT_H_

#include <string_view>

namespace utrace::certify {

// Defined by a generated file.
extern const std::string_view kSpecText;

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_SPEC_TEXT_H_
