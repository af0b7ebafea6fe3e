#include "engines/options.h"

#include <algorithm>
#include <utility>

#include "fmt/core.h"

namespace utrace {
namespace {

// Cuts the text up to the next unescaped comma off `rest`, and resolves its backslashes.
std::string TakeItem(std::string_view& rest) {
  std::string item;
  size_t i = 0;
  for (; i < rest.size() && rest[i] != ','; ++i) {
    if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
    item += rest[i];
  }
  rest.remove_prefix(std::min(i + 1, rest.size()));
  return item;
}

}  // namespace

const std::string* Options::Find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  return found == entries_.end() ? nullptr : &found->value;
}

std::optional<bool> Options::YesNo(std::string_view key, bool otherwise, std::string* error) const {
  const std::string* value = Find(key);
  if (value == nullptr) return otherwise;
  if (*value == "yes") return true;
  if (*value == "no") return false;
  *error = fmt::format("{}={}: must be yes or no", key, *value);
  return std::nullopt;
}

std::optional<EngineSpec> ParseEngineSpec(std::string_view spec, std::string* error) {
  const size_t colon = spec.find(':');
  EngineSpec parsed{.name = std::string(spec.substr(0, colon)), .options = {}};
  if (parsed.name.empty()) {
    *error = "an engine's name is missing; write NAME[:KEY=VALUE[,KEY=VALUE...]]";
    return std::nullopt;
  }
  std::vector<Options::Entry> entries;
  std::string_view rest = colon == std::string_view::npos ? "" : spec.substr(colon + 1);
  while (!rest.empty()) {
    const std::string item = TakeItem(rest);
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0) {
      *error =
          fmt::format("{}: \"{}\" is no option; write KEY=VALUE[,KEY=VALUE...]", parsed.name, item);
      return std::nullopt;
    }
    std::string key = item.substr(0, equals);
    if (std::ranges::find(entries, key, &Options::Entry::key) != entries.end()) {
      *error = fmt::format("{}: option {} is given twice", parsed.name, key);
      return std::nullopt;
    }
    entries.push_back({.key = std::move(key), .value = item.substr(equals + 1)});
  }
  parsed.options = Options(std::move(entries));
  return parsed;
}

}  // namespace utrace
