// The driver that a hosted implementation exports (core/utrace_target.h), and what the kit may ask of
// the implementation because of it.
#ifndef CONFORMANCE_KIT_TARGET_H_
#define CONFORMANCE_KIT_TARGET_H_

#include <string>
#include <vector>

#include "core/utrace_target.h"

#define UTRACE_KIT_TARGET_PART_A(X) \
  X(utrace_target_version)          \
  X(utrace_target_capabilities)     \
  X(utrace_target_begin)            \
  X(utrace_target_end)              \
  X(utrace_target_spawn)            \
  X(utrace_target_send)             \
  X(utrace_target_receive)          \
  X(utrace_target_slot_memory)      \
  X(utrace_target_slot_address)     \
  X(utrace_target_program)          \
  X(utrace_target_feed)             \
  X(utrace_target_kill)             \
  X(utrace_target_state)            \
  X(utrace_target_parent)           \
  X(utrace_target_configure)

#define UTRACE_KIT_TARGET_PART_B(X) \
  X(utrace_target_run)              \
  X(utrace_target_schedule)         \
  X(utrace_target_thread)           \
  X(utrace_target_thread_self)      \
  X(utrace_target_thread_state)     \
  X(utrace_target_thread_interrupt) \
  X(utrace_target_await)            \
  X(utrace_target_settle)           \
  X(utrace_target_now)

namespace utrace::kit {

// The functions of the driver, under their own names.
struct Target {
#define UTRACE_KIT_FIELD(name) decltype(&::name) name = nullptr;
  UTRACE_KIT_TARGET_PART_A(UTRACE_KIT_FIELD)
  UTRACE_KIT_TARGET_PART_B(UTRACE_KIT_FIELD)
#undef UTRACE_KIT_FIELD
  bool schedules = false;  // part B is there
  std::vector<std::string> capabilities;
};

// Looks for the driver in `path`, which LoadApi has loaded, and puts it to use: from then on puppets
// are tasks of the implementation, and with part B the kit's threads are too. An object that exports no
// utrace_target_version is live; that changes nothing. Returns what is wrong with a driver that cannot
// be used, else an empty text.
std::string LoadTarget(const std::string& path);

// The driver in use; null for a live implementation.
const Target* TheTarget();

// Whether the host of the implementation can do that; a live one can do everything but what only
// utrace_target_configure does ("kernel-task"). Besides the names of utrace_target_capabilities:
//   live  real processes of Linux: /proc, context switches, programs that are no puppets
bool HostCan(const std::string& capability);
// Ends the test as NOT APPLICABLE if the host of the implementation lacks it. Commands of puppets say so
// by themselves.
void Needs(const std::string& capability);

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_TARGET_H_
