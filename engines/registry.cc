#include "engines/registry.h"

#include <algorithm>
#include <optional>

#include "engines/crash_catcher/crash_catcher.h"
#include "engines/syscall_log/syscall_log.h"
#include "fmt/core.h"

namespace utrace {
namespace {

using Maker = std::unique_ptr<EngineInstance> (*)(const Options& options, const EngineFiles& files,
                                                  std::string* error);

// In the order of Engines().
constexpr Maker kMakers[] = {MakeCrashCatcher, MakeSyscallLog};

// "a, b, c" of what `text` makes of each element.
template <class Elements, class Text>
std::string List(const Elements& elements, Text text) {
  std::string list;
  for (const auto& element : elements) {
    if (!list.empty()) list += ", ";
    list += text(element);
  }
  return list;
}

const EngineInfo* FindBuiltIn(std::string_view name) {
  const auto found = std::ranges::find(Engines(), name, &EngineInfo::name);
  return found == Engines().end() ? nullptr : &*found;
}

// What `spec` asks for: `plugin`, or, if that is null, an engine that is built in.
std::optional<EngineChoice> Choose(EngineSpec spec, std::shared_ptr<const Plugin> plugin,
                                   std::string* error) {
  const EngineInfo* info = plugin != nullptr ? &plugin->info() : FindBuiltIn(spec.name);
  if (info == nullptr) {
    *error = fmt::format("there is no engine \"{}\"; there are: {}, or the path of one, with a '/'",
                         spec.name,
                         List(Engines(), [](const EngineInfo& i) { return std::string(i.name); }));
    return std::nullopt;
  }
  for (const Options::Entry& entry : spec.options.entries()) {
    if (std::ranges::find(info->options, entry.key, &OptionInfo::key) != info->options.end()) {
      continue;
    }
    *error = info->options.empty()
                 ? fmt::format("{} has no options", info->name)
                 : fmt::format("{} has no option \"{}\"; it has: {}", info->name, entry.key,
                               List(info->options, [](const OptionInfo& o) {
                                 return fmt::format("{}={}", o.key, o.values);
                               }));
    return std::nullopt;
  }
  return EngineChoice{
      .info = info, .options = std::move(spec.options), .plugin = std::move(plugin)};
}

}  // namespace

const std::vector<EngineInfo>& Engines() {
  static const std::vector<EngineInfo> engines = {
      {.name = "crash_catcher",
       .summary = "writes a report and a core file of a process before it dies of a signal",
       .options = CrashCatcherOptions()},
      {.name = "syscall_log",
       .summary = "writes a line for each system call, signal and exit",
       .options = SyscallLogOptions()},
  };
  return engines;
}

std::optional<EngineChoice> ChooseEngine(std::string_view spec, std::string* error) {
  std::optional<EngineSpec> parsed = ParseEngineSpec(spec, error);
  if (!parsed) return std::nullopt;
  std::shared_ptr<const Plugin> plugin;
  if (Plugin::IsPath(parsed->name)) {
    plugin = Plugin::Load(parsed->name, error);
    if (plugin == nullptr) return std::nullopt;
  }
  return Choose(*std::move(parsed), std::move(plugin), error);
}

std::optional<EngineChoice> ChooseEngine(std::string_view spec,
                                         std::shared_ptr<const Plugin> plugin, std::string* error) {
  std::optional<EngineSpec> parsed = ParseEngineSpec(spec, error);
  if (!parsed) return std::nullopt;
  return Choose(*std::move(parsed), std::move(plugin), error);
}

std::unique_ptr<EngineInstance> MakeEngine(const EngineChoice& choice, const EngineFiles& files,
                                           std::string* error) {
  std::string problem;
  auto instance = choice.plugin != nullptr
                      ? choice.plugin->Make(choice.options, files, &problem)
                      : kMakers[choice.info - Engines().data()](choice.options, files, &problem);
  if (instance == nullptr) *error = fmt::format("{}: {}", choice.info->name, problem);
  return instance;
}

std::unique_ptr<EngineInstance> MakeEngine(std::string_view spec, std::string* error) {
  const std::optional<EngineChoice> choice = ChooseEngine(spec, error);
  if (!choice) return nullptr;
  std::string problem;
  const auto files = EngineFiles::Open(choice->info->options, choice->options, &problem);
  if (files) return MakeEngine(*choice, *files, error);
  *error = fmt::format("{}: {}", choice->info->name, problem);
  return nullptr;
}

}  // namespace utrace
