#include "cli/tracing_options.h"

#include <stdio.h>

#include <limits>

#include "fmt/core.h"

namespace utrace::cli {
namespace {

constexpr char kRunFooter[] = R"(
The command is a child of this process, with its terminal, directory, environment and limits; the
engines work in the user's server (utrace serve --help), where others can join them. What the command
creates is traced as each engine's own options say. If utrace or the server is killed, the command runs
on untraced.

--fast gives the command a seccomp filter: the system calls that no engine named run at full speed. The
filter stays with the command and all that it creates: they are traced until they end, set-user-id programs
gain no rights, and if the server is killed, the calls named fail with ENOSYS. Calls of 32-bit programs are
not seen.

Examples:
  utrace run -- ls -l /tmp               log the system calls of ls on standard error
  utrace run -o calls.log -- make        the same into a file, children included
  utrace run -Z -y -E open,%network -- curl http://localhost/
                                         only those that fail, of some kinds, with paths
  utrace run -e syscall_log -e syscall_log:output=second.log -- sort words
                                         two engines on one process
  utrace run --fast -e syscall_log:trace=%file -- make
                                         only some system calls, and those at little cost

The exit status is the command's; if a signal killed the command, utrace dies of the same. 125: utrace
itself failed; 126: the command cannot be executed; 127: there is no such command.)";

constexpr char kAttachFooter[] = R"(
A process id (PID) means all threads of the process, and those that it creates later. The id of another
thread (TID) means that thread alone; with --threads, the process that it belongs to. With --follow the
processes and threads that the targets create are traced too.

Stays until the targets are gone, somebody detaches the engines (utrace detach), or Ctrl-C, SIGTERM or
SIGHUP: then it detaches in order. A second Ctrl-C does not wait for that. If it is killed, the server
detaches for it.

Examples:
  utrace attach 4711                     log the system calls of process 4711 on standard error
  utrace attach -o calls.log --follow 4711 4712
                                         of two processes, and of their children, into a file
  utrace attach -e syscall_log:signals=no 4714
                                         of one thread, without its signals
  utrace attach $(pidof nginx)           of all processes of a name

Exit status: 0 detached, or the targets are gone; 1 a target was refused, or an engine had problems with
its output: standard error names each; 2 wrong use.)";

constexpr char kDetachFooter[] = R"(
Takes engines off, whoever attached them: all, or those that -e names. The commands that they belong to
say so, and end if nothing is left to them.

Examples:
  utrace detach 4711                     all engines off process 4711
  utrace detach -e syscall_log 4711      only those of this name
  utrace detach -e '#3' 4711             only number 3 of utrace ps

Exit status: 0 done; 1 a target has no such engine, which standard error names; 2 wrong use.)";

constexpr char kPsFooter[] = R"(
Shows for each traced thread its state, who stops it, and the line `Utrace:<TAB><hex>` with the events that
anybody wants of it; and for each engine its name and number, the command it belongs to, and its events.

Examples:
  utrace ps                              all that is traced
  utrace ps 4711                         one process
  utrace ps --json | jq '.processes[].pid'

Exit status: 0 done; 1 a process or thread that was named is not traced; 2 wrong use.)";

constexpr char kStopFooter[] = R"(
A thread stops at its next safe point: in user mode at once; in a system call when that ends (or at once,
with utrace interrupt afterwards). The stop outlives this command: utrace resume lifts it, utrace ps shows
it. It is no job control stop: the parent is not told, and SIGCONT does not end it. SIGKILL does.

Examples:
  utrace stop 4711                       all threads of process 4711
  utrace stop 4714                       one thread
  utrace resume 4711

Exit status: 0 stopped, or on the way; 1 a target was refused, which standard error names; 2 wrong use.)";

constexpr char kResumeFooter[] = R"(
Lifts what utrace stop did, whoever gave it. Where other engines still hold a thread, it says which.

Examples:
  utrace resume 4711

Exit status: 0 lifted; 1 a target was not stopped by utrace stop, or another engine still holds it; 2 wrong
use.)";

constexpr char kInterruptFooter[] = R"(
Brings each thread to a safe point now. A system call that it waits in is interrupted as by SIGSTOP and
SIGCONT: one that Linux restarts after a stop goes on unnoticed. A thread that utrace stop waits for stops
there.

Examples:
  utrace interrupt 4711

Exit status: 0 done; 1 a target was refused, which standard error names; 2 wrong use.)";

constexpr char kEnginesFooter[] = R"(
Examples:
  utrace engines
  utrace engines ./my_engine.so          what an engine of one's own is and takes
  utrace engines --json | jq -r '.engines[].name'

Exit status: 0 done; 1 a file holds no engine, or the list cannot be written; 2 wrong use.)";

constexpr char kServeFooter[] = R"(
The first command that needs the server starts it, and it ends when its last client and its last engine are
gone: there is no need to run this. By hand it stays in the foreground, waits for its first client, and logs
who comes and goes.

Its socket is $XDG_RUNTIME_DIR/utrace/server, or /tmp/utrace-UID/server; UTRACE_SOCKET_DIR names another
directory. Only its own user can use it.

Exit status: 0 ended; 1 there is a server already, it cannot work, or a signal ended it; 2 wrong use.)";

constexpr char kWrapFooter[] = R"(
The command is a program that uses ptrace(2), gdb or strace for instance. What it traces is traced by the
user's server (utrace serve --help) on its behalf, so that other such programs, and engines of utrace attach,
can trace the same threads at the same time. Each sees its tracees as if it were alone with them.

The command takes the place of this process: terminal, signals and exit status are its own. What it executes
is not wrapped, unless --children is given: that is for a script or a make that runs tracers. What a tracer
executes as its tracee never is.

If the server is killed, the tracees run on untraced, and the command is told that it traces nothing.

Examples:
  utrace wrap -- gdb -p 4711             debug a process that others trace too
  utrace wrap -- strace -f -o calls.log -p 4711
                                         at the same time in another terminal
  utrace wrap -- gdb ./program           a debugger that starts its own child
  utrace wrap --children -- make check   tests that run tracers

The exit status is the command's. 125: utrace itself failed, or the command cannot be wrapped: it is
statically linked, made for another kind of machine, or gains rights by being executed (set-user-id); 126: it
cannot be executed; 127: there is no such command.)";

void AddTargets(CLI::App* app, std::vector<pid_t>* targets, bool required) {
  CLI::Option* const option =
      app->add_option("TARGET", *targets, "process ids, or thread ids")
          ->check(CLI::Range(1, std::numeric_limits<pid_t>::max()).description(""))
          ->type_name("");
  if (required) option->required();
}

void AddThreads(CLI::App* app, bool* threads) {
  app->add_flag("--threads", *threads, "all threads of the process that a thread id belongs to");
}

void AddForce(CLI::App* app, bool* force) { app->add_flag("--force", *force, "process 1 as well"); }

void AddEngineOptions(CLI::App* app, EngineArguments* arguments) {
  app->add_option("-e,--engine", arguments->engines,
                  "attach this engine (again: several); without it, syscall_log")
      ->type_name("ENGINE[:KEY=VALUE,...]")
      ->allow_extra_args(false);
  app->add_option("-o,--output", arguments->output, "where the engine writes; without it, stderr")
      ->type_name("FILE");
  // What users of strace have in their fingers; all else that syscall_log can is said with -e.
  app->add_option("-E,--trace", arguments->trace,
                  "syscall_log: only these system calls, by name and class: open,%network")
      ->type_name("LIST");
  app->add_option("-P,--path", arguments->paths,
                  "syscall_log: only calls that have to do with this file (again: several)")
      ->type_name("PATH")
      ->allow_extra_args(false);
  app->add_flag("-Z,--failed", arguments->failed, "syscall_log: only calls that failed");
  app->add_flag("-c,--summary", arguments->summary,
                "syscall_log: a table at the end, and no lines");
  app->add_flag("-y,--paths", arguments->descriptors,
                "syscall_log: show what descriptors are open on");
}

}  // namespace

TracingCommands::TracingCommands(CLI::App& app) {
  AddRun(app);
  AddAttach(app);
  AddDetach(app);
  AddPs(app);
  AddControls(app);
  AddEngines(app);
  AddServe(app);
  AddWrap(app);
}

void TracingCommands::AddRun(CLI::App& app) {
  run_app_ =
      app.add_subcommand("run", "run a command with tracing engines on it: utrace run -- COMMAND");
  AddEngineOptions(run_app_, &run_.engines);
  run_app_->add_flag(
      "--fast", run_.fast,
      "stop the command for the system calls alone that the engines name (see below)");
  // `utrace run ls -l` is understood too.
  run_app_->prefix_command();
  run_app_->footer("\nEngines:\n" + EngineList("  ") + kRunFooter);
}

void TracingCommands::AddAttach(CLI::App& app) {
  attach_app_ = app.add_subcommand("attach", "attach engines to processes or threads that run");
  AddTargets(attach_app_, &attach_.targets, /*required=*/true);
  AddEngineOptions(attach_app_, &attach_.engines);
  AddThreads(attach_app_, &attach_.threads);
  attach_app_->add_flag("--follow", attach_.follow,
                        "the processes and threads they create as well");
  AddForce(attach_app_, &attach_.force);
  attach_app_->add_flag("-q,--quiet", attach_.quiet,
                        "do not say that it has attached and detached");
  attach_app_->footer("\nEngines:\n" + EngineList("  ") + kAttachFooter);
}

void TracingCommands::AddDetach(CLI::App& app) {
  detach_app_ = app.add_subcommand("detach", "take engines off processes or threads");
  AddTargets(detach_app_, &detach_.targets, /*required=*/true);
  detach_app_
      ->add_option("-e,--engine", detach_.engine,
                   "only engines of this name, or the one of this number")
      ->type_name("NAME|#ID");
  AddThreads(detach_app_, &detach_.threads);
  detach_app_->footer(kDetachFooter);
}

void TracingCommands::AddPs(CLI::App& app) {
  ps_app_ = app.add_subcommand("ps", "show what is traced, by which engines, and who stops it");
  AddTargets(ps_app_, &ps_.targets, /*required=*/false);
  ps_app_->add_flag("--json", ps_.json, "for programs (docs/server.md)");
  ps_app_->footer(kPsFooter);
}

void TracingCommands::AddControls(CLI::App& app) {
  using Kind = server::ControlRequest::Kind;
  const auto add = [&](Control* control, Kind kind, const char* name, const char* what,
                       const char* footer) {
    control->app = app.add_subcommand(name, what);
    control->arguments.kind = kind;
    control->arguments.name = name;
    AddTargets(control->app, &control->arguments.targets, /*required=*/true);
    AddThreads(control->app, &control->arguments.threads);
    if (kind != Kind::kResume) AddForce(control->app, &control->arguments.force);
    control->app->footer(footer);
  };
  add(&stop_, Kind::kStop, "stop", "stop threads where they are, until they are resumed",
      kStopFooter);
  add(&resume_, Kind::kResume, "resume", "let threads run on that utrace stop has stopped",
      kResumeFooter);
  add(&interrupt_, Kind::kInterrupt, "interrupt",
      "bring threads to a safe point, out of the system calls they wait in", kInterruptFooter);
}

void TracingCommands::AddEngines(CLI::App& app) {
  engines_app_ = app.add_subcommand("engines", "list the engines and their options");
  engines_app_
      ->add_option("FILE", engines_.files,
                   "shared objects with an engine each; without one, the engines that are built in")
      ->type_name("");
  engines_app_->add_flag("--json", engines_.json, "for programs (docs/server.md)");
  engines_app_->footer(kEnginesFooter);
}

void TracingCommands::AddServe(CLI::App& app) {
  serve_app_ = app.add_subcommand("serve", "be the server that the other commands share");
  // How a command starts it.
  serve_app_->add_flag("--listener", serve_.listener)->group("");
  serve_app_->footer(kServeFooter);
}

void TracingCommands::AddWrap(CLI::App& app) {
  wrap_app_ = app.add_subcommand(
      "wrap", "run a debugger or tracer that shares its targets: utrace wrap -- gdb");
  wrap_app_->add_flag("--children", wrap_.children,
                      "what the command executes is wrapped as well (see below)");
  wrap_app_->prefix_command();
  wrap_app_->footer(kWrapFooter);
}

CLI::App* TracingCommands::given() const {
  for (CLI::App* app : {run_app_, attach_app_, detach_app_, ps_app_, stop_.app, resume_.app,
                        interrupt_.app, engines_app_, serve_app_, wrap_app_}) {
    if (app->parsed()) return app;
  }
  return nullptr;
}

int TracingCommands::Run(bool has_dashes, const std::vector<std::string>& behind_dashes) {
  if (run_app_->parsed()) {
    return TakeCommand(*run_app_, has_dashes, behind_dashes, &run_.command) ? RunTraced(run_)
                                                                            : kExitUsage;
  }
  if (wrap_app_->parsed()) {
    return TakeCommand(*wrap_app_, has_dashes, behind_dashes, &wrap_.command) ? RunWrapped(wrap_)
                                                                              : kExitUsage;
  }
  if (attach_app_->parsed()) return RunAttach(attach_);
  if (detach_app_->parsed()) return RunDetach(detach_);
  if (ps_app_->parsed()) return RunPs(ps_);
  if (engines_app_->parsed()) return RunEngines(engines_);
  if (serve_app_->parsed()) return RunServe(serve_);
  for (const Control* control : {&stop_, &resume_, &interrupt_}) {
    if (control->app->parsed()) return RunControl(control->arguments);
  }
  return kExitUsage;
}

bool TracingCommands::TakeCommand(const CLI::App& app, bool has_dashes,
                                  const std::vector<std::string>& behind_dashes,
                                  std::vector<std::string>* command) {
  *command = app.remaining();
  // In `utrace run grep -- -x` the dashes are grep's.
  if (!command->empty() && has_dashes) command->emplace_back("--");
  command->insert(command->end(), behind_dashes.begin(), behind_dashes.end());
  if (!command->empty()) return true;
  const std::string name = app.get_name();
  const char* const options = name == "run" ? "[-e ENGINE]... " : "";
  fputs(fmt::format("utrace {0}: no command; use: utrace {0} {1}-- COMMAND [ARGUMENTS]\n", name,
                    options)
            .c_str(),
        stderr);
  return false;
}

}  // namespace utrace::cli
