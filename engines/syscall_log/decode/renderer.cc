#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

void Append(Text& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

}  // namespace utrace::syscall_log
