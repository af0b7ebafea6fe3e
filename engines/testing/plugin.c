// An engine in C for the tests of plugin_loader.h. What is wrong with it is chosen by macros.
#include "engines/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utrace.h"

#ifndef PLUGIN_ABI
#define PLUGIN_ABI UTRACE_PLUGIN_ABI
#endif
#ifndef PLUGIN_API_VERSION
#define PLUGIN_API_VERSION UTRACE_API_VERSION
#endif
#ifndef PLUGIN_NAME
#define PLUGIN_NAME "testing"
#endif
#ifndef PLUGIN_KIND
#define PLUGIN_KIND UTRACE_PLUGIN_DIRECTORY
#endif
#ifndef PLUGIN_REFUSES
#define PLUGIN_REFUSES 0
#endif
#ifndef PLUGIN_COMPLETE
#define PLUGIN_COMPLETE 1
#endif

#ifdef PLUGIN_NO_ENTRY
#define utrace_engine_plugin another_function
#endif

#ifdef PLUGIN_NEEDS_MORE
unsigned long utrace_of_another_day(void);
#endif

struct instance {
  const struct utrace_plugin_request* request;
  int attached;
};

static const struct utrace_plugin_setting* Find(const struct instance* instance, const char* key) {
  for (size_t n = 0; n < instance->request->setting_count; ++n) {
    const struct utrace_plugin_setting* setting = &instance->request->settings[n];
    if (strcmp(setting->key, key) == 0) return setting;
  }
  return NULL;
}

static void* Create(const struct utrace_plugin_request* request, char* error, size_t error_size) {
  struct instance* instance = calloc(1, sizeof *instance);
  instance->request = request;
  const struct utrace_plugin_setting* refuse = Find(instance, "refuse");
  if (refuse == NULL) return instance;
  snprintf(error, error_size, "%s", refuse->value);
  request->release(request);
  free(instance);
  return NULL;
}

static int Attach(void* object, struct utrace_task* task) {
  struct instance* instance = object;
  if (task == NULL) return -EINVAL;
#ifdef PLUGIN_NEEDS_MORE
  if (utrace_of_another_day() == 0) return -ENOSYS;
#endif
  char line[64];
  const int size = snprintf(line, sizeof line, "attached to %d\n", (int)utrace_task_tid(task));
  const struct utrace_plugin_setting* output = Find(instance, "output");
  instance->request->write(output != NULL ? output->output : instance->request->standard_error,
                           line, (size_t)size);
  ++instance->attached;
  return 0;
}

static void Finish(void* object, void (*tell)(void* cookie, const char* line), void* cookie) {
  const struct instance* instance = object;
  char line[64];
  snprintf(line, sizeof line, "%d tasks", instance->attached);
  tell(cookie, line);
  const struct utrace_plugin_setting* directory = Find(instance, "directory");
  if (directory != NULL) tell(cookie, directory->fd >= 0 ? "a directory" : "no directory");
}

static void Destroy(void* object) {
  struct instance* instance = object;
  instance->request->release(instance->request);
  free(instance);
}

static const struct utrace_plugin_option kOptions[] = {
    {"output", "FILE", "where the lines go", UTRACE_PLUGIN_OUTPUT_FILE},
    {"directory", "DIR", "is opened", PLUGIN_KIND},
    {"refuse", "TEXT", "is what it says when it refuses", UTRACE_PLUGIN_TEXT},
};

static const struct utrace_plugin kPlugin = {
    .abi = PLUGIN_ABI,
    .api_version = PLUGIN_API_VERSION,
    .name = PLUGIN_NAME,
    .version = "1.5",
    .summary = "for tests",
    .options = kOptions,
    .option_count = sizeof kOptions / sizeof kOptions[0],
    .create = Create,
    .attach = Attach,
    .finish = Finish,
    .destroy = PLUGIN_COMPLETE ? Destroy : NULL,
};

const struct utrace_plugin* utrace_engine_plugin(void) { return PLUGIN_REFUSES ? NULL : &kPlugin; }
