// The text with which a user names an engine and its options: NAME[:KEY=VALUE[,KEY=VALUE...]].
#ifndef ENGINES_OPTIONS_H_
#define ENGINES_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace utrace {

// One option that an engine has.
struct OptionInfo {
  // What the value names, so that whoever makes the engine can open it beforehand (files.h).
  enum class Kind : uint8_t {
    kText,
    kOutputFile,  // created, or emptied
    kDirectory,   // must exist
  };

  std::string_view key;
  std::string_view values;   // "FILE", "yes|no"
  std::string_view summary;  // what it does, and the default
  Kind kind = Kind::kText;
};

// The options that a user gave, in any order, each at most once.
class Options {
 public:
  struct Entry {
    std::string key;
    std::string value;
  };

  Options() = default;
  explicit Options(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  const std::vector<Entry>& entries() const { return entries_; }
  // The value given for `key`, or null.
  const std::string* Find(std::string_view key) const;
  // The value of a yes|no option. Nullopt, and *error set, if it is neither.
  std::optional<bool> YesNo(std::string_view key, bool otherwise, std::string* error) const;

 private:
  std::vector<Entry> entries_;
};

struct EngineSpec {
  std::string name;
  Options options;
};

// Takes `spec` apart. In a value, a backslash takes the next character as it is: "output=a\,b". Null,
// and *error saying what is wrong, if it is malformed.
std::optional<EngineSpec> ParseEngineSpec(std::string_view spec, std::string* error);

}  // namespace utrace

#endif  // ENGINES_OPTIONS_H_
