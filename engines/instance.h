// EngineInstance: one engine, configured and ready to be attached, as tools see it.
#ifndef ENGINES_INSTANCE_H_
#define ENGINES_INSTANCE_H_

#include <optional>
#include <string>
#include <vector>

#include "core/utrace.h"

namespace utrace {

// Made by MakeEngine (registry.h). Any thread may call its functions.
class EngineInstance {
 public:
  EngineInstance() = default;
  // Leaves every task it is attached to.
  virtual ~EngineInstance() = default;
  EngineInstance(const EngineInstance&) = delete;
  EngineInstance& operator=(const EngineInstance&) = delete;

  // Attaches to one more task, for the task's life; what becomes of tasks it creates is the engine's
  // affair. Borrows `task`. Zero, or a negative errno: -EEXIST this instance is attached to it
  // already; the others as Attachment::Attach, with utrace_last_error_text() saying more.
  virtual int Attach(utrace_task* task) = 0;

  // The system calls by whose events it does its work, by number; nullopt: it wants to see all calls.
  // An empty list: it wants none. For `utrace run --fast`.
  virtual std::optional<std::vector<long>> SystemCalls() const { return std::nullopt; }

  // Ends the work: leaves every task, after which no callback runs or will run, and brings all
  // output to where it belongs. May wait for a slow reader of that output, some seconds at most
  // without progress. Returns what the user should be told of, one line each without a newline; empty
  // if all went well. Not to be called in a callback. A second call has nothing left to do.
  virtual std::vector<std::string> Finish() = 0;
};

}  // namespace utrace

#endif  // ENGINES_INSTANCE_H_
