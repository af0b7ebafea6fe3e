// The version of the tools.
#ifndef CLI_VERSION_H_
#define CLI_VERSION_H_

namespace utrace::cli {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace utrace::cli

#endif  // CLI_VERSION_H_
