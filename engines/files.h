// EngineFiles: what an engine writes to, opened before the engine is made.
//
// An engine opens nothing by name: it may run in a server, whose directory, umask and limits are not
// those of the user it works for. Whoever asks for the engine opens the files of its options
// (OptionInfo::kind) and hands over the descriptors.
#ifndef ENGINES_FILES_H_
#define ENGINES_FILES_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/line_writer.h"
#include "engines/options.h"

namespace utrace {

// Movable; owns its descriptors, which are closed on exec.
class EngineFiles {
 public:
  EngineFiles() = default;
  ~EngineFiles();
  EngineFiles(EngineFiles&& other) noexcept;
  EngineFiles& operator=(EngineFiles&& other) noexcept;

  // Opens what the values of `options` name, as this process and where it stands: a kOutputFile is
  // created or emptied (LineWriter::OpenFile); a kDirectory must be writable.
  // Nullopt, and *error one line, if one cannot be opened.
  static std::optional<EngineFiles> Open(const std::vector<OptionInfo>& infos,
                                         const Options& options, std::string* error);

  // Gives the value of option `key` its descriptor, which is taken over.
  void Add(std::string_view key, int fd);
  // Where an engine without an output of its own writes. Without it: standard error of this process.
  void SetStandardError(std::shared_ptr<LineWriter> writer) { stderr_ = std::move(writer); }

  // The descriptor of option `key`, which stays this object's; -1 if it has none.
  int Find(std::string_view key) const;
  // A writer for option `key`, or for standard error if the option was not given.
  std::shared_ptr<LineWriter> Writer(std::string_view key) const;
  // All of them, by key; they stay this object's.
  const std::map<std::string, int, std::less<>>& descriptors() const { return descriptors_; }

 private:
  std::map<std::string, int, std::less<>> descriptors_;
  std::shared_ptr<LineWriter> stderr_;
};

}  // namespace utrace

#endif  // ENGINES_FILES_H_
