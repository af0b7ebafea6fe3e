// Tells which programs its tasks execute, and at each task's end how many system calls it made.
#include <string>

#include "engines/plugin_engine.h"

class MyEngine : public utrace::Engine {
 public:
  static constexpr utrace::Events kEvents = utrace::Events::kExec | utrace::Events::kSyscallEntry |
                                            utrace::Events::kClone | utrace::Events::kExit;

  explicit MyEngine(const utrace::PluginSettings& settings)
      : output_(settings.Output("output")), follow_(settings.YesNo("follow", true)) {}

  utrace::Action OnExec(utrace::ExecReport& exec) override {
    Say(exec, std::string("executes ") + exec.program().path);
    return utrace::Action::kResume;
  }
  utrace::SyscallResult OnSyscallEntry(utrace::SyscallEntry& call) override {
    if (!call.repeated()) ++call.State<long>();
    return utrace::Action::kResume;
  }
  utrace::Action OnClone(utrace::CloneReport& clone) override {
    if (follow_ && !clone.Follow().ok()) Say(clone, "has a child that cannot be followed");
    return utrace::Action::kResume;
  }
  utrace::Action OnExit(utrace::ExitReport& exit) override {
    Say(exit, "made " + std::to_string(exit.State<long>()) + " system calls");
    return utrace::Action::kResume;
  }

 private:
  void Say(const utrace::Report& report, const std::string& what) const {
    output_.Write(std::to_string(report.task().tid()) + " " + what + "\n");
  }

  const utrace::PluginOutput output_;
  const bool follow_;
};

UTRACE_PLUGIN(MyEngine, "my_engine", "1.0", "tells what is executed, and counts system calls",
              {"output", "FILE", "where the lines go; default: standard error",
               UTRACE_PLUGIN_OUTPUT_FILE},
              {"follow", "yes|no", "also what a task creates; default: yes"})
