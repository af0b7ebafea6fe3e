#include "engines/syscall_log/decode/names.h"

#include <algorithm>

namespace utrace::syscall_log {

const char* Names::Find(uint64_t value) const {
  const auto found = std::ranges::lower_bound(entries, value, {}, &NameEntry::value);
  return found == entries.end() || found->value != value ? nullptr : found->name;
}

}  // namespace utrace::syscall_log
