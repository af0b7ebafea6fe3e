// What a filter of ours (call_filter.h) tells about the calls that it stops, so that the host can tell
// them from those that a program's own filter stops.
#ifndef CORE_LINUX_FILTER_COOKIE_H_
#define CORE_LINUX_FILTER_COOKIE_H_

#include <cstdint>

namespace utrace::linux_host {

inline constexpr uint16_t kFilterCookie = 0x7574;

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FILTER_COOKIE_H_
