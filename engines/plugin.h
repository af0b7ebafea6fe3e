// Engines that are loaded from a shared object: what such an object exports, in C.
//
// `utrace run -e ./my_engine.so[:KEY=VALUE,...]` loads the object, calls its utrace_engine_plugin(),
// and makes an instance from the struct that this returns. The object leaves the functions of
// core/utrace.h and core/machine.h undefined: it finds them in the program that loads it. Once loaded
// it is never unloaded.
//
// Authors of engines in C++ need none of this: engines/plugin_engine.h writes it for them.
//
// No function may throw, and each may be called from any thread. What crosses here in either
// direction keeps its form while UTRACE_PLUGIN_ABI stays the same.
#ifndef ENGINES_PLUGIN_H_
#define ENGINES_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#include "core/utrace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UTRACE_PLUGIN_ABI 1

// What the value of an option names. Files and directories are opened by whoever asks for the engine:
// the engine may run in another process, in another directory.
enum utrace_plugin_kind {
  UTRACE_PLUGIN_TEXT = 0,
  UTRACE_PLUGIN_OUTPUT_FILE = 1,  // created, or emptied
  UTRACE_PLUGIN_DIRECTORY = 2     // must exist and be writable
};

// One option that the engine has. All strings are one line, and live as long as the object.
struct utrace_plugin_option {
  const char* key;      // "output"
  const char* values;   // "FILE", "yes|no"
  const char* summary;  // what it does, and the default
  uint32_t kind;        // utrace_plugin_kind
};

// Where lines go: a file, or what the user sees.
struct utrace_plugin_output;

// One option that was given.
struct utrace_plugin_setting {
  const char* key;
  const char* value;
  int fd;                               // of a file or directory; else -1
  struct utrace_plugin_output* output;  // of an output file; else null
};

// What an instance is made with. It is valid, with all that it points to, until the object calls
// release() once: in a create() that refuses, in destroy(), or later, when nothing of the instance is
// left that may write.
struct utrace_plugin_request {
  const struct utrace_plugin_setting* settings;  // known keys, each at most once
  size_t setting_count;
  struct utrace_plugin_output* standard_error;  // of the user
  // Appends `size` bytes, whole lines that end in a newline. Lines of concurrent callers do not mix.
  // Waits for no slow reader; a loss is counted, and told to the user at the end.
  void (*write)(struct utrace_plugin_output* output, const char* lines, size_t size);
  void (*release)(const struct utrace_plugin_request* request);
};

// What the object exports. Lives as long as the object, and never changes.
struct utrace_plugin {
  uint32_t abi;               // UTRACE_PLUGIN_ABI
  uint32_t reserved;          // zero
  unsigned long api_version;  // UTRACE_API_VERSION
  const char* name;           // letters, digits, '_', '-' and '.'
  const char* version;        // the engine's own
  const char* summary;        // one line
  const struct utrace_plugin_option* options;
  size_t option_count;

  // Makes an instance. Takes `request` over: it is to be released, whatever this returns. Null if a
  // setting is no good, and then one line that says why in `error`, which has room for `error_size`
  // bytes with the final zero.
  void* (*create)(const struct utrace_plugin_request* request, char* error, size_t error_size);
  // Attaches to one more task, for the task's life. Borrows `task`. Zero, or a negative errno: -EEXIST
  // this instance is attached to it already; else as utrace_attach_task.
  int (*attach)(void* instance, struct utrace_task* task);
  // Leaves every task, after which no callback runs or will run, and writes out what is left to write.
  // Calls tell(cookie, line) for each line that the user should be told, without a newline. Not called
  // in a callback; a second call has nothing left to do.
  void (*finish)(void* instance, void (*tell)(void* cookie, const char* line), void* cookie);
  // Leaves every task, and frees the instance.
  void (*destroy)(void* instance);
};

// The entry point. Called once; null if the engine cannot work here.
UTRACE_EXPORT const struct utrace_plugin* utrace_engine_plugin(void);

#ifdef __cplusplus
}
#endif

#endif  // ENGINES_PLUGIN_H_
