#include "engines/registry.h"

#include <algorithm>
#include <optional>

#include "engines/syscall_log/syscall_log.h"
#include "fmt/core.h"

namespace utrace {
namespace {

using Maker = std::unique_ptr<EngineInstance> (*)(const Options& options, std::string* error);

// In the order of Engines().
constexpr Maker kMakers[] = {MakeSyscallLog};

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

}  // namespace

const std::vector<EngineInfo>& Engines() {
  static const std::vector<EngineInfo> engines = {
      {.name = "syscall_log",
       .summary = "writes a line for each system call, signal and exit",
       .options = SyscallLogOptions()},
  };
  return engines;
}

std::unique_ptr<EngineInstance> MakeEngine(std::string_view spec, std::string* error) {
  const std::optional<EngineSpec> parsed = ParseEngineSpec(spec, error);
  if (!parsed) return nullptr;

  const auto info = std::ranges::find(Engines(), parsed->name, &EngineInfo::name);
  if (info == Engines().end()) {
    *error = fmt::format("there is no engine \"{}\"; there are: {}", parsed->name,
                         List(Engines(), [](const EngineInfo& i) { return std::string(i.name); }));
    return nullptr;
  }
  for (const Options::Entry& entry : parsed->options.entries()) {
    if (std::ranges::find(info->options, entry.key, &OptionInfo::key) != info->options.end()) {
      continue;
    }
    *error = fmt::format("{} has no option \"{}\"; it has: {}", info->name, entry.key,
                         List(info->options, [](const OptionInfo& o) {
                           return fmt::format("{}={}", o.key, o.values);
                         }));
    return nullptr;
  }

  std::string problem;
  auto instance = kMakers[info - Engines().begin()](parsed->options, &problem);
  if (instance == nullptr) *error = fmt::format("{}: {}", info->name, problem);
  return instance;
}

}  // namespace utrace
