// EngineInfo: what users are told of an engine before there is one.
#ifndef ENGINES_ENGINE_INFO_H_
#define ENGINES_ENGINE_INFO_H_

#include <string_view>
#include <vector>

#include "engines/options.h"

namespace utrace {

struct EngineInfo {
  std::string_view name;
  std::string_view summary;  // one line
  std::vector<OptionInfo> options;
};

}  // namespace utrace

#endif  // ENGINES_ENGINE_INFO_H_
