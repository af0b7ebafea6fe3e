// The engines that are built in, by name.
#ifndef ENGINES_REGISTRY_H_
#define ENGINES_REGISTRY_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/files.h"
#include "engines/instance.h"
#include "engines/options.h"

namespace utrace {

struct EngineInfo {
  std::string_view name;
  std::string_view summary;  // one line
  std::vector<OptionInfo> options;
};

// In alphabetical order; lives as long as the process.
const std::vector<EngineInfo>& Engines();

// What NAME[:KEY=VALUE[,KEY=VALUE...]] (options.h) asks for: a known engine, and options that it has.
struct EngineChoice {
  const EngineInfo* info;
  Options options;
};

// Nullopt, and *error one line for the user that says what there is to choose from, if `spec` asks for
// nothing that there is. Any thread may call this and what follows.
std::optional<EngineChoice> ChooseEngine(std::string_view spec, std::string* error);

// Makes an engine that writes to `files`. Null, and *error one line, if a value is no good.
std::unique_ptr<EngineInstance> MakeEngine(const EngineChoice& choice, const EngineFiles& files,
                                           std::string* error);

// Both, for an engine that runs where it is asked for; opens its files.
std::unique_ptr<EngineInstance> MakeEngine(std::string_view spec, std::string* error);

}  // namespace utrace

#endif  // ENGINES_REGISTRY_H_
