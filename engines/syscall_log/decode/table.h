// The table of calls that are decoded, by number and by name.
#ifndef ENGINES_SYSCALL_LOG_DECODE_TABLE_H_
#define ENGINES_SYSCALL_LOG_DECODE_TABLE_H_

#include <span>
#include <string_view>

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

struct TableEntry {
  const CallInfo* info;
  uint32_t classes;  // of its group, of its own, and what follows from its parameters
};

// All of them, of both machines. Lives as long as the process, as do the results below.
std::span<const TableEntry> DecodedCalls();
// Null for a call that is not decoded.
const TableEntry* FindCall(std::string_view name);
// The same by this machine's number.
const TableEntry* FindCall(long number);

// The classes that filters know: "file", kClassFile; and so on.
struct ClassName {
  std::string_view name;
  Class bit;
};
std::span<const ClassName> ClassNames();

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_TABLE_H_
