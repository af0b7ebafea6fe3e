// The engines that users can ask for: those that are built in, and those in shared objects.
#ifndef ENGINES_REGISTRY_H_
#define ENGINES_REGISTRY_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/engine_info.h"
#include "engines/files.h"
#include "engines/instance.h"
#include "engines/options.h"
#include "engines/plugin_loader.h"

namespace utrace {

// Those that are built in, in alphabetical order; lives as long as the process.
const std::vector<EngineInfo>& Engines();

// What NAME[:KEY=VALUE[,KEY=VALUE...]] (options.h) asks for: a known engine, and options that it has.
// A NAME with a '/' in it is the path of a shared object (plugin_loader.h).
struct EngineChoice {
  const EngineInfo* info;  // lives as long as the choice
  Options options;
  std::shared_ptr<const Plugin> plugin;  // null: built in
};

// Nullopt, and *error one line for the user that says what there is to choose from, if `spec` asks for
// nothing that there is. Opens and loads a shared object as this process and where it stands. Any
// thread may call this and what follows.
std::optional<EngineChoice> ChooseEngine(std::string_view spec, std::string* error);
// The same with `plugin` loaded already; null unless the NAME is a path.
std::optional<EngineChoice> ChooseEngine(std::string_view spec,
                                         std::shared_ptr<const Plugin> plugin, std::string* error);

// Makes an engine that writes to `files`. Null, and *error one line, if a value is no good.
std::unique_ptr<EngineInstance> MakeEngine(const EngineChoice& choice, const EngineFiles& files,
                                           std::string* error);

// Both, for an engine that runs where it is asked for; opens its files.
std::unique_ptr<EngineInstance> MakeEngine(std::string_view spec, std::string* error);

}  // namespace utrace

#endif  // ENGINES_REGISTRY_H_
