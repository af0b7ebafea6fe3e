// Any implementation of the contract, loaded from a shared object.
//
// The suite never links against an implementation: it calls through the table that LoadApi fills,
// so that the same tests judge ours, a kernel's, or somebody else's.
#ifndef CONFORMANCE_KIT_API_H_
#define CONFORMANCE_KIT_API_H_

#include <optional>
#include <string>

#include "core/machine.h"
#include "core/utrace.h"

// Every function of core/utrace.h and core/machine.h that an implementation exports: the single
// source for the table, for the loader and for the list of missing symbols.
#define UTRACE_KIT_API(X)         \
  X(utrace_api_version)           \
  X(utrace_pid_find)              \
  X(utrace_pid_get)               \
  X(utrace_pid_put)               \
  X(utrace_pid_task)              \
  X(utrace_task_get)              \
  X(utrace_task_put)              \
  X(utrace_task_tid)              \
  X(utrace_task_tgid)             \
  X(utrace_current)               \
  X(utrace_attach_task)           \
  X(utrace_attach_pid)            \
  X(utrace_engine_get)            \
  X(utrace_engine_put)            \
  X(utrace_set_events)            \
  X(utrace_set_events_pid)        \
  X(utrace_control)               \
  X(utrace_control_pid)           \
  X(utrace_barrier)               \
  X(utrace_barrier_pid)           \
  X(utrace_prepare_examine)       \
  X(utrace_finish_examine)        \
  X(utrace_task_interest)         \
  X(utrace_task_status)           \
  X(utrace_last_error_text)       \
  X(utrace_declared_limits)       \
  X(utrace_task_regset_view)      \
  X(utrace_regset_get)            \
  X(utrace_regset_set)            \
  X(utrace_get_pc)                \
  X(utrace_set_pc)                \
  X(utrace_get_sp)                \
  X(utrace_syscall_number)        \
  X(utrace_syscall_set_number)    \
  X(utrace_syscall_arguments)     \
  X(utrace_syscall_set_arguments) \
  X(utrace_syscall_result)        \
  X(utrace_syscall_set_result)    \
  X(utrace_syscall_rollback)      \
  X(utrace_task_current_syscall)  \
  X(utrace_read_memory)           \
  X(utrace_write_memory)          \
  X(utrace_has_single_step)       \
  X(utrace_has_block_step)

namespace utrace::kit {

// The functions of one implementation, under their own names.
struct Api {
#define UTRACE_KIT_FIELD(name) decltype(&::name) name = nullptr;
  UTRACE_KIT_API(UTRACE_KIT_FIELD)
#undef UTRACE_KIT_FIELD
};

// Why an object cannot be used, from the outside in.
enum class LoadError {
  kNone,
  kMissingFile,        // no such file, or not readable
  kNotElf,             // a file of another kind
  kWrongArchitecture,  // an ELF file for another machine or word size
  kDlopen,             // the dynamic linker refuses it
  kMissingSymbols,     // it does not export the whole interface
  kWrongVersion,       // it was built for another version of the interface
};

struct LoadResult {
  std::optional<Api> api;
  LoadError error = LoadError::kNone;
  std::string text;  // what is wrong and what to do about it; empty on success
};

// Loads `path` and fills the table. The object stays loaded for the life of the process, because
// its threads may still be running. Calls nothing of it but utrace_api_version.
LoadResult LoadApi(const std::string& path);

// The implementation under test; valid after SetApi. Aborts if there is none.
const Api& api();
void SetApi(const Api& loaded);
bool HasApi();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_API_H_
