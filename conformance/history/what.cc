#include "conformance/history/what.h"

#include "core/utrace.h"

namespace utrace::history {
namespace {

struct Entry {
  const char* name;
  uint64_t events;
};

constexpr Entry kEntries[kWhats] = {
    {"report_quiesce", UTRACE_EVENT(QUIESCE)},
    {"report_signal", UTRACE_EVENT_SIGNAL_ALL},
    {"report_clone", UTRACE_EVENT(CLONE)},
    {"report_jctl", UTRACE_EVENT(JCTL)},
    {"report_exec", UTRACE_EVENT(EXEC)},
    {"report_syscall_entry", UTRACE_EVENT(SYSCALL_ENTRY)},
    {"report_syscall_exit", UTRACE_EVENT(SYSCALL_EXIT)},
    {"report_exit", UTRACE_EVENT(EXIT)},
    {"report_death", UTRACE_EVENT(DEATH)},
    {"report_reap", UTRACE_EVENT(REAP)},
    {"release", 0},
    {"attach", 0},
    {"lookup", 0},
    {"get", 0},
    {"put", 0},
    {"set_events", 0},
    {"control", 0},
    {"barrier", 0},
    {"prepare_examine", 0},
    {"finish_examine", 0},
};

}  // namespace

const char* WhatName(What what) { return kEntries[static_cast<int>(what)].name; }

bool WhatOfName(std::string_view name, What* what) {
  for (int i = 0; i < kWhats; ++i) {
    if (name == kEntries[i].name) {
      *what = static_cast<What>(i);
      return true;
    }
  }
  return false;
}

uint64_t EventsOf(What what) { return kEntries[static_cast<int>(what)].events; }

}  // namespace utrace::history
