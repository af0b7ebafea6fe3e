// Usage: count_calls COMMAND [ARGUMENT...]    counts the system calls of a new command
//        count_calls --pid TID                counts those of a running thread until standard input
//                                             ends
#include "engines/examples/count_calls.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"

namespace {

bool Attach(utrace::TaskView task, const std::shared_ptr<CountCalls>& engine) {
  auto attachment = utrace::Attachment::Attach(task, engine, CountCalls::kEvents);
  if (!attachment) {
    std::fprintf(stderr, "cannot attach: %s %s\n", attachment.status().ToString().c_str(),
                 utrace_last_error_text());
    return false;
  }
  attachment->Leave();  // it stays until DetachEverywhere, or the end of the task
  return true;
}

bool CountCommand(const std::vector<std::string>& argv, const std::shared_ptr<CountCalls>& engine) {
  std::unique_ptr<utrace::linux_host::Command> command;
  std::string error;
  if (utrace::linux_host::Command::Start(argv, &command, &error) != 0) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return false;
  }
  if (!Attach(command->task(), engine) || command->Release() != 0) return false;
  command->Wait();
  return true;
}

bool CountThread(pid_t tid, const std::shared_ptr<CountCalls>& engine) {
  const auto pid = utrace::PidRef::Find(tid);
  const auto task = pid ? pid->FindTask() : pid.status();
  if (!task) {
    std::fprintf(stderr, "%d: %s\n", tid, task.status().ToString().c_str());
    return false;
  }
  if (!Attach(*task, engine)) return false;
  std::puts("attached");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return 2;
  const auto engine = std::make_shared<CountCalls>();
  const bool counted = arguments[0] == "--pid" && arguments.size() == 2
                           ? CountThread(std::atoi(arguments[1].c_str()), engine)
                           : CountCommand(arguments, engine);
  engine->DetachEverywhere();  // from here on nothing else touches the engine
  for (const auto& [number, count] : engine->counts()) std::printf("%ld %ld\n", number, count);
  if (engine->not_followed() != 0) std::printf("%d tasks missed\n", engine->not_followed());
  return counted ? 0 : 1;
}
