// Engines in C++ that are loaded from a shared object: a class, and one line that offers it.
//
//   class CountExecs : public utrace::Engine {
//    public:
//     static constexpr utrace::Events kEvents = utrace::Events::kExec;
//
//     explicit CountExecs(const utrace::PluginSettings& settings)
//         : output_(settings.Output("output")) {}
//     utrace::Action OnExec(utrace::ExecReport& report) override {
//       output_.Write(std::string(report.program().path) + "\n");
//       return utrace::Action::kResume;
//     }
//
//    private:
//     const utrace::PluginOutput output_;
//   };
//
//   UTRACE_PLUGIN(CountExecs, "count_execs", "1.0", "tells what is executed",
//                 {"output", "FILE", "where to; default: standard error",
//                  UTRACE_PLUGIN_OUTPUT_FILE})
//
// It is compiled together with core/engine.cc, see examples/engine_template. The class has
//
// - kEvents, or a function `Events events() const`: what is enabled on the tasks it is attached to;
// - a constructor that takes const PluginSettings&, or a default constructor. It refuses a setting by
//   throwing std::invalid_argument with one line for the user;
// - if it likes, `std::vector<std::string> Finish()`: called once it is attached nowhere any more;
//   returns lines that the user should be told.
#ifndef ENGINES_PLUGIN_ENGINE_H_
#define ENGINES_PLUGIN_ENGINE_H_

#include <cerrno>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "engines/plugin.h"

namespace utrace {

// Where lines go. Copies go to the same place. Any thread may write.
class PluginOutput {
 public:
  PluginOutput(std::shared_ptr<const utrace_plugin_request> request, utrace_plugin_output* output)
      : request_(std::move(request)), output_(output) {}

  // `lines`: one or more, each ending in a newline. Waits for no slow reader.
  void Write(std::string_view lines) const { request_->write(output_, lines.data(), lines.size()); }

 private:
  const std::shared_ptr<const utrace_plugin_request> request_;
  utrace_plugin_output* const output_;
};

// The options that a user gave.
class PluginSettings {
 public:
  explicit PluginSettings(std::shared_ptr<const utrace_plugin_request> request)
      : request_(std::move(request)) {}

  // The value given for `key`; nullopt if none was.
  std::optional<std::string_view> Find(std::string_view key) const {
    const utrace_plugin_setting* setting = Setting(key);
    if (setting == nullptr) return std::nullopt;
    return setting->value;
  }
  // Throws std::invalid_argument if the value is neither "yes" nor "no".
  bool YesNo(std::string_view key, bool otherwise) const {
    const auto value = Find(key);
    if (!value) return otherwise;
    if (*value != "yes" && *value != "no") {
      throw std::invalid_argument(std::string(key).append("=").append(*value) +
                                  ": must be yes or no");
    }
    return *value == "yes";
  }
  // The file of option `key`; the user's standard error if it was not given, or names no output file.
  PluginOutput Output(std::string_view key) const {
    const utrace_plugin_setting* setting = Setting(key);
    const bool file = setting != nullptr && setting->output != nullptr;
    return {request_, file ? setting->output : request_->standard_error};
  }
  PluginOutput StandardError() const { return {request_, request_->standard_error}; }
  // The descriptor of the file or directory that option `key` names, borrowed; -1 if it was not given.
  // Valid as long as this object or a copy of it.
  int Descriptor(std::string_view key) const {
    const utrace_plugin_setting* setting = Setting(key);
    return setting == nullptr ? -1 : setting->fd;
  }

 private:
  const utrace_plugin_setting* Setting(std::string_view key) const {
    for (size_t n = 0; n < request_->setting_count; ++n) {
      if (key == request_->settings[n].key) return &request_->settings[n];
    }
    return nullptr;
  }

  std::shared_ptr<const utrace_plugin_request> request_;
};

// A utrace_plugin_option whose value is text if nothing else is said.
struct PluginOption : utrace_plugin_option {
  PluginOption(const char* option_key, const char* option_values, const char* option_summary,
               utrace_plugin_kind option_kind = UTRACE_PLUGIN_TEXT)
      : utrace_plugin_option{option_key, option_values, option_summary, option_kind} {}
};

// The functions of a utrace_plugin for engine class E.
template <class E>
class PluginAdapter {
 public:
  static utrace_plugin Describe(const char* name, const char* version, const char* summary,
                                const std::initializer_list<PluginOption>& options) {
    static const std::vector<utrace_plugin_option> kept(options.begin(), options.end());
    return {.abi = UTRACE_PLUGIN_ABI,
            .reserved = 0,
            .api_version = UTRACE_API_VERSION,
            .name = name,
            .version = version,
            .summary = summary,
            .options = kept.data(),
            .option_count = kept.size(),
            .create = Create,
            .attach = Attach,
            .finish = Finish,
            .destroy = Destroy};
  }

 private:
  using Instance = std::shared_ptr<E>;

  static std::shared_ptr<E> MakeEngine(const PluginSettings& settings) {
    if constexpr (std::is_constructible_v<E, const PluginSettings&>) {
      return std::make_shared<E>(settings);
    } else {
      return std::make_shared<E>();
    }
  }

  static Events EventsOf(const E& engine) {
    if constexpr (requires { engine.events(); }) {
      return engine.events();
    } else {
      return E::kEvents;
    }
  }

  static void* Create(const utrace_plugin_request* request, char* error,
                      size_t error_size) noexcept {
    try {
      const PluginSettings settings(
          std::shared_ptr<const utrace_plugin_request>(request, request->release));
      return new Instance(MakeEngine(settings));
    } catch (const std::exception& exception) {
      std::snprintf(error, error_size, "%s", exception.what());
    } catch (...) {
      std::snprintf(error, error_size, "its constructor threw what is no std::exception");
    }
    return nullptr;
  }

  // What can throw here is memory running out.
  static int Attach(void* instance, utrace_task* task) noexcept {
    try {
      const Instance& engine = *static_cast<Instance*>(instance);
      Result<Attachment> attachment =
          Attachment::Attach(task, engine, EventsOf(*engine), Attachment::Mode::kUnlessAttached);
      if (!attachment) return attachment.code();
      attachment->Leave();
      return 0;
    } catch (const std::bad_alloc&) {
      return -ENOMEM;
    }
  }

  static void Finish(void* instance, void (*tell)(void* cookie, const char* line),
                     void* cookie) noexcept {
    const Instance& engine = *static_cast<Instance*>(instance);
    try {
      engine->DetachEverywhere();
      if constexpr (requires { engine->Finish(); }) {
        for (const std::string& line : engine->Finish()) tell(cookie, line.c_str());
      }
    } catch (const std::exception& exception) {
      tell(cookie, exception.what());
    } catch (...) {
      tell(cookie, "Finish threw what is no std::exception");
    }
  }

  static void Destroy(void* instance) noexcept {
    const std::unique_ptr<Instance> last(static_cast<Instance*>(instance));
    (*last)->DetachEverywhere();
  }
};

// Offers class E, which is all that one shared object can do; at namespace scope, once. The name,
// version and summary are string literals. What follows are its options, each a PluginOption in braces.
#define UTRACE_PLUGIN(E, name, version, summary, ...)                                \
  extern "C" UTRACE_EXPORT const struct utrace_plugin* utrace_engine_plugin() {      \
    static const utrace_plugin plugin =                                              \
        ::utrace::PluginAdapter<E>::Describe(name, version, summary, {__VA_ARGS__}); \
    return &plugin;                                                                  \
  }

}  // namespace utrace

#endif  // ENGINES_PLUGIN_ENGINE_H_
