// Which way the data of a ptrace request travels, and how much of it there is. For both ends of the
// wire.
#ifndef ENGINES_PTRACE_COMPAT_ARGUMENTS_H_
#define ENGINES_PTRACE_COMPAT_ARGUMENTS_H_

#include <stddef.h>
#include <stdint.h>

namespace utrace::ptrace_compat {

enum class Passing : uint8_t {
  kValues,     // address and data are numbers
  kOutWord,    // glibc's ptrace returns the word that the kernel stores (PEEK*)
  kOut,        // data points to `size` bytes that the request fills
  kIn,         // data points to `size` bytes that it reads
  kOutVector,  // data points to an iovec: its base is filled, its length becomes what there was
  kInVector,   // data points to an iovec: its base is read, its length becomes what was taken
  kOutSized,   // data points to `address` bytes, of which the request fills what it has
  kInSized,    // data points to `address` bytes that the request reads
  kInOutSized,  // data points to `address` bytes that are read, and filled up to the request's result
  kPeekSiginfo,  // address points to a struct ptrace_peeksiginfo_args, data to its nr siginfo_t
  kOutFilter,  // PTRACE_SECCOMP_GET_FILTER: data, unless null, to as many sock_filter as it returns
  kArchPrctl,  // address is a number, or points to a word that is filled: FillsAddress(data)
  kUnknown,    // EIO, as from the kernel
};

struct Argument {
  Passing passing = Passing::kUnknown;
  size_t size = 0;
};

Argument ArgumentOf(long request);

// Of a request that passes kArchPrctl.
bool FillsAddress(uint64_t data);

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_ARGUMENTS_H_
