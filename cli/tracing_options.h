// The command line of the commands that trace: run, attach, detach, ps, stop, resume, interrupt, engines,
// serve, wrap.
#ifndef CLI_TRACING_OPTIONS_H_
#define CLI_TRACING_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/attach_command.h"
#include "cli/run_command.h"
#include "cli/server_commands.h"
#include "cli/wrap_command.h"

namespace utrace::cli {

inline constexpr int kExitUsage = 2;

// Adds these commands to a program's, and runs the one that was given.
class TracingCommands {
 public:
  // `app` must outlive this.
  explicit TracingCommands(CLI::App& app);
  TracingCommands(const TracingCommands&) = delete;
  TracingCommands& operator=(const TracingCommands&) = delete;

  // After parsing: the one that was given; null if it was none of these.
  CLI::App* given() const;
  // Whether that one has a command behind "--".
  bool TakesCommand() const { return run_app_->parsed() || wrap_app_->parsed(); }
  // Runs it; the exit status. `has_dashes`: there was a "--", and `behind_dashes` followed it.
  int Run(bool has_dashes, const std::vector<std::string>& behind_dashes);

 private:
  void AddRun(CLI::App& app);
  void AddAttach(CLI::App& app);
  void AddDetach(CLI::App& app);
  void AddPs(CLI::App& app);
  void AddControls(CLI::App& app);
  void AddEngines(CLI::App& app);
  void AddServe(CLI::App& app);
  void AddWrap(CLI::App& app);
  // The command that `app` was given. False if there is none, which was told.
  static bool TakeCommand(const CLI::App& app, bool has_dashes,
                          const std::vector<std::string>& behind_dashes,
                          std::vector<std::string>* command);

  struct Control {
    CLI::App* app = nullptr;
    ControlArguments arguments;
  };

  CLI::App* run_app_ = nullptr;
  CLI::App* attach_app_ = nullptr;
  CLI::App* detach_app_ = nullptr;
  CLI::App* ps_app_ = nullptr;
  CLI::App* engines_app_ = nullptr;
  CLI::App* serve_app_ = nullptr;
  CLI::App* wrap_app_ = nullptr;
  Control stop_;
  Control resume_;
  Control interrupt_;
  RunArguments run_;
  AttachArguments attach_;
  DetachArguments detach_;
  PsArguments ps_;
  EnginesArguments engines_;
  ServeArguments serve_;
  WrapArguments wrap_;
};

}  // namespace utrace::cli

#endif  // CLI_TRACING_OPTIONS_H_
