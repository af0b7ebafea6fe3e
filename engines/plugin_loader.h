// Plugin: an engine in a shared object (plugin.h), loaded.
#ifndef ENGINES_PLUGIN_LOADER_H_
#define ENGINES_PLUGIN_LOADER_H_

#include <memory>
#include <string>
#include <string_view>

#include "engines/engine_info.h"
#include "engines/files.h"
#include "engines/instance.h"
#include "engines/options.h"
#include "engines/plugin.h"

namespace utrace {

// The object stays in the process for good, and is loaded from a copy of the file: neither a file that
// is written over, nor one that is removed, touches an engine that runs. The same file, unchanged, is
// loaded once. Any thread may call its functions.
//
// Loading runs the object's code. The program must export the functions of utrace.h and machine.h
// (//engines:plugin_exports).
class Plugin {
 public:
  // Whether a user's `name` of an engine, as in an engine spec, is that of a file: it has a '/'.
  static bool IsPath(std::string_view name) { return name.find('/') != std::string_view::npos; }

  // Opens `path` as this process and where it stands. Null, and *error one line that names the file,
  // if it cannot be opened or holds no engine for this program: no shared object, one for another
  // machine, one that lacks symbols, or one that was built for another interface.
  static std::shared_ptr<const Plugin> Load(const std::string& path, std::string* error);
  // The same from an open file, which is borrowed and must be readable; `name` is for messages.
  static std::shared_ptr<const Plugin> Load(int fd, const std::string& name, std::string* error);

  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  const EngineInfo& info() const { return info_; }
  std::string_view version() const { return plugin_->version; }

  // As MakeEngine (registry.h). The options are known ones.
  std::unique_ptr<EngineInstance> Make(const Options& options, const EngineFiles& files,
                                       std::string* error) const;

 private:
  explicit Plugin(const utrace_plugin* plugin);

  const utrace_plugin* const plugin_;  // lives as long as the process
  const EngineInfo info_;
};

}  // namespace utrace

#endif  // ENGINES_PLUGIN_LOADER_H_
