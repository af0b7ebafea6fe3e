// What commands say on standard error.
#ifndef CLI_COMPLAIN_H_
#define CLI_COMPLAIN_H_

#include <cstdio>
#include <string>

#include "cli/printable.h"

namespace utrace::cli {

// "utrace COMMAND: TEXT". By hand: fmt::print throws if standard error is closed, which must not matter.
inline void Complain(const std::string& command, const std::string& text) {
  std::fputs(("utrace " + command + ": " + Printable(text) + "\n").c_str(), stderr);
}

}  // namespace utrace::cli

#endif  // CLI_COMPLAIN_H_
