// What stands behind TestEngine: the records of all engines of this process, which outlive the
// tests, because an implementation that is wrong may call at any time.
#ifndef CONFORMANCE_KIT_ENGINE_STATE_H_
#define CONFORMANCE_KIT_ENGINE_STATE_H_

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "conformance/kit/engine.h"
#include "conformance/kit/threads.h"

namespace utrace::kit {

// All fields are guarded by Recorder::mutex.
struct TestEngine::State {
  int id = 0;
  std::string name;
  const utrace_engine_ops* ops = nullptr;
  void* data = nullptr;
  std::shared_ptr<Handler> handlers[kWhats];
  bool keep_log = true;
  bool closed = false;   // the test's object is gone: no more handlers
  bool holding = false;  // event-zero reports shall end in STOP
  bool held = false;     // one did
  unsigned long events = 0;

  int begun[kWhats] = {};
  int ended[kWhats] = {};
  int running = 0;
  int in_handler = 0;
  ThreadId handler_thread = 0;
  int overlaps = 0;
  int after_release = 0;
  int releases = 0;
  bool release_in_callback = false;
};

// One for the process, never destroyed.
struct Recorder {
  std::mutex mutex;
  Condition changed;
  std::vector<std::unique_ptr<Report>> log;
  std::set<TestEngine::State*> states;
  std::map<const utrace_engine*, TestEngine::State*> by_engine;
  std::map<void*, int> releases;
  std::map<const utrace_task*, int> running;  // callbacks by task
  int next_id = 1;
};
Recorder& TheRecorder();

// The callbacks that every OpsTable holds.
utrace_engine_ops RecordingOps();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_ENGINE_STATE_H_
