#include "cli/engine_specs.h"

#include <fcntl.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "cli/companions.h"
#include "core/linux/fd.h"
#include "engines/files.h"
#include "engines/options.h"
#include "engines/plugin_loader.h"
#include "engines/registry.h"
#include "fmt/core.h"
#include "server/protocol.h"

namespace utrace::cli {
namespace {

using server::Reply;

// The default engine.
constexpr char kSyscallLog[] = "syscall_log";

// With a backslash before what would end an option's value.
std::string Escaped(std::string_view value) {
  std::string escaped;
  for (char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void AddOption(std::string* spec, std::string_view key, std::string_view value) {
  const bool has_options = spec->find(':') != std::string::npos;
  *spec += fmt::format("{}{}={}", has_options ? "," : ":", key, value);
}

// Whether -o may be meant for it: it has the option, and no value yet. What is malformed or unknown counts:
// it is complained about when it is made.
bool WantsOutput(const std::string& spec) {
  std::string ignored;
  const std::optional<EngineSpec> parsed = ParseEngineSpec(spec, &ignored);
  if (!parsed) return true;
  if (parsed->options.Find("output") != nullptr) return false;
  const std::optional<EngineChoice> choice = ChooseEngine(spec, &ignored);
  if (!choice) return true;
  const auto& options = choice->info->options;
  return std::ranges::find(options, "output", &OptionInfo::key) != options.end();
}

// An option of syscall_log that was given by a letter.
struct ShortOption {
  const char* letter;
  const char* key;
  std::string value;
};

std::vector<ShortOption> ShortOptions(const EngineArguments& arguments) {
  std::vector<ShortOption> options;
  if (!arguments.trace.empty()) {
    // syscall_log's own lists are separated by "+".
    std::string list = arguments.trace;
    std::ranges::replace(list, ',', '+');
    options.push_back({"-E", "trace", Escaped(list)});
  }
  if (!arguments.paths.empty()) {
    std::string list;
    for (const std::string& path : arguments.paths) list += (list.empty() ? "" : "+") + path;
    options.push_back({"-P", "path", Escaped(list)});
  }
  if (arguments.failed) options.push_back({"-Z", "failed", "yes"});
  if (arguments.summary) options.push_back({"-c", "summary", "only"});
  if (arguments.descriptors) options.push_back({"-y", "paths", "yes"});
  return options;
}

// False, and *error, if there is no syscall_log to give them to.
bool AddShortOptions(const std::vector<ShortOption>& options, std::vector<std::string>* specs,
                     std::string* error) {
  if (options.empty()) return true;
  bool found = false;
  for (std::string& spec : *specs) {
    std::string ignored;  // a malformed one is complained about when it is made
    const std::optional<EngineSpec> parsed = ParseEngineSpec(spec, &ignored);
    if (!parsed || parsed->name != kSyscallLog) continue;
    found = true;
    for (const ShortOption& option : options) {
      if (parsed->options.Find(option.key) == nullptr) AddOption(&spec, option.key, option.value);
    }
  }
  if (!found) {
    *error =
        fmt::format("{}: it is an option of syscall_log, which is not among the engines; add -e {}",
                    options.front().letter, kSyscallLog);
  }
  return found;
}

// Adds what the server tells of an engine's system calls. Empty, or why it cannot be had with --fast.
std::string AddCalls(const std::vector<std::string>& told, std::vector<long>* calls) {
  for (const std::string& number : told) {
    if (number == "all") {
      return "it wants to see all system calls, and --fast needs names of those it shall see";
    }
    calls->push_back(std::atol(number.c_str()));
  }
  return "";
}

// Empty, or why not.
std::string MakeOne(server::Client& client, const std::string& spec, std::vector<long>* calls) {
  std::string error;
  const std::optional<EngineSpec> parsed = ParseEngineSpec(spec, &error);
  if (!parsed) return error;
  server::MakeEngineRequest request{
      .spec = spec, .plugin = Plugin::IsPath(parsed->name), .files = {}};
  std::vector<int> descriptors;
  // Loaded here too: what its options are, it alone knows.
  std::shared_ptr<const Plugin> plugin;
  linux_host::Fd object;
  if (request.plugin) {
    object.Reset(open(parsed->name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!object.valid()) return fmt::format("{}: {}", parsed->name, strerror(errno));
    plugin = Plugin::Load(object.get(), parsed->name, &error);
    if (plugin == nullptr) return error;
    descriptors.push_back(object.get());
  }
  const std::optional<EngineChoice> choice = ChooseEngine(spec, plugin, &error);
  if (!choice) return error;
  const auto files = EngineFiles::Open(choice->info->options, choice->options, &error);
  if (!files) return fmt::format("{}: {}", choice->info->name, error);
  for (const auto& [key, fd] : files->descriptors()) {
    request.files.push_back(key);
    descriptors.push_back(fd);
  }
  const Reply answer = client.Ask(request, descriptors, [](const Reply&) {});
  if (answer.kind == Reply::Kind::kDone) {
    return calls == nullptr ? "" : AddCalls(answer.lines, calls);
  }
  // An engine that only this program has, or only as it is here.
  const std::vector<std::string>& program = client.greeting().lines;
  if (program.empty() || program[0] == ThisProgram()) return answer.text;
  return fmt::format("{} (the running server, pid {}, is {})", answer.text, client.server(),
                     program[0]);
}

}  // namespace

std::vector<std::string> EngineSpecs(const EngineArguments& arguments, std::string* error) {
  std::vector<std::string> specs = arguments.engines;
  if (specs.empty()) specs.emplace_back(kSyscallLog);
  if (!AddShortOptions(ShortOptions(arguments), &specs, error)) return {};
  const std::string& output = arguments.output;
  if (output.empty()) return specs;

  std::string* wanting = nullptr;
  for (std::string& spec : specs) {
    if (!WantsOutput(spec)) continue;
    if (wanting != nullptr) {
      *error = fmt::format(
          "-o {}: more than one engine has no output of its own ({} and {}); give each one with -e "
          "ENGINE:output=FILE",
          output, *wanting, spec);
      return {};
    }
    wanting = &spec;
  }
  if (wanting == nullptr) {
    *error = fmt::format("-o {}: no engine wants it: each has an output of its own", output);
    return {};
  }
  AddOption(wanting, "output", Escaped(output));
  return specs;
}

std::vector<std::string> WithoutOwnFollowing(std::vector<std::string> specs) {
  for (std::string& spec : specs) {
    std::string ignored;  // a malformed one is complained about when it is made
    const std::optional<EngineChoice> choice = ChooseEngine(spec, &ignored);
    if (!choice || choice->options.Find("follow") != nullptr) continue;
    const auto& options = choice->info->options;
    if (std::ranges::find(options, "follow", &OptionInfo::key) == options.end()) continue;
    AddOption(&spec, "follow", "no");
  }
  return specs;
}

bool MakeEngines(server::Client& client, const std::vector<std::string>& specs, std::string* error,
                 std::vector<long>* calls) {
  for (const std::string& spec : specs) {
    const std::string why = MakeOne(client, spec, calls);
    if (why.empty()) continue;
    *error = fmt::format("-e {}: {}", spec, why);
    return false;
  }
  return true;
}

}  // namespace utrace::cli
