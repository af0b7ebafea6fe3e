// The engines that are built in, by name.
#ifndef ENGINES_REGISTRY_H_
#define ENGINES_REGISTRY_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

// Makes an engine from NAME[:KEY=VALUE[,KEY=VALUE...]] (options.h), opening its output. Null, and
// *error one line for the user that says what there is to choose from, if that cannot be done. Any
// thread may call it.
std::unique_ptr<EngineInstance> MakeEngine(std::string_view spec, std::string* error);

}  // namespace utrace

#endif  // ENGINES_REGISTRY_H_
