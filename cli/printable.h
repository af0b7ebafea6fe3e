// Text from elsewhere, made safe to print.
#ifndef CLI_PRINTABLE_H_
#define CLI_PRINTABLE_H_

#include <string>

namespace utrace::cli {

// Without what a terminal would act on: a process may call itself anything.
inline std::string Printable(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

}  // namespace utrace::cli

#endif  // CLI_PRINTABLE_H_
