// Which calls a user wants to see.
#ifndef ENGINES_SYSCALL_LOG_FILTER_H_
#define ENGINES_SYSCALL_LOG_FILTER_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/syscall_log/decode/call.h"
#include "engines/syscall_log/decode/syscall_names.h"

namespace utrace::syscall_log {

// By name and by class. Any thread.
class CallFilter {
 public:
  // Wants everything.
  CallFilter() { wanted_.set(); }
  // `list` is names, %classes and /expressions with '+' or ',' between them, or all calls but those
  // after a '!'. Nullopt, and *error what is wrong with it.
  static std::optional<CallFilter> Parse(std::string_view list, std::string* error);

  // Numbers beyond the tables are wanted unless names are asked for.
  bool Wants(long number) const {
    return number >= 0 && number < kSyscallLimit ? wanted_[static_cast<size_t>(number)]
                                                 : wants_others_;
  }

 private:
  bool Add(std::string_view item, std::string* error);

  std::bitset<kSyscallLimit> wanted_;
  bool wants_others_ = true;
};

// By the files that a call's arguments name, in paths or descriptors.
class PathFilter {
 public:
  // Wants everything.
  PathFilter() = default;
  // `list` is paths with '+' or ',' between them.
  explicit PathFilter(std::string_view list);

  bool wants_all() const { return paths_.empty(); }
  // Reads what it needs of the task. A relative path is taken from the directory that the call says,
  // or the task's; a path that is wanted also counts if it is just what the program passes.
  bool Wants(long number, const std::array<uint64_t, 6>& args, Memory& memory,
             Descriptors& descriptors) const;

 private:
  bool IsWanted(std::string_view path) const;

  std::vector<std::string> paths_;
};

// "/usr/../etc//passwd" -> "/etc/passwd". As text: links are not followed.
std::string NormalPath(std::string_view path);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_FILTER_H_
