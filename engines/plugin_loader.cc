#include "engines/plugin_loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "core/result.h"
#include "fmt/core.h"

namespace utrace {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
constexpr char kMachineName[] = "x86-64";
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
constexpr char kMachineName[] = "aarch64";
#endif

constexpr off_t kLargestFile = off_t{1} << 30;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

template <class T>
bool ReadAt(int fd, uint64_t offset, T* value) {
  return pread(fd, value, sizeof *value, static_cast<off_t>(offset)) == ssize_t{sizeof *value};
}

// What the dynamic linker would not tell, or not survive: whether `fd`, of `size` bytes, is a shared
// object for this machine whose segments are all there. Empty if it is.
std::string WhatIsWrongWithElf(int fd, uint64_t size) {
  Elf64_Ehdr header;
  if (!ReadAt(fd, 0, &header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return "is no shared object";
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine) {
    return fmt::format("is for another machine (ELF machine {}, {} bits); this program is for {}",
                       header.e_machine, header.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
                       kMachineName);
  }
  if (header.e_type != ET_DYN) return "is no shared object; build it with -shared";
  for (unsigned n = 0; n < header.e_phnum; ++n) {
    Elf64_Phdr segment;
    if (header.e_phentsize != sizeof segment ||
        !ReadAt(fd, header.e_phoff + n * sizeof segment, &segment)) {
      return "is damaged: its program headers are not there";
    }
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset) {
      return "is damaged: its end is missing";
    }
  }
  return "";
}

// A copy of the file, in memory and unchangeable.
Result<Descriptor> CopyToMemory(int fd, const std::string& name) {
  const std::string base = name.substr(name.rfind('/') + 1, 200);
  Descriptor copy(memfd_create(base.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy.valid()) return Status(-errno);
  off_t offset = 0;
  for (ssize_t sent = 1; sent != 0;) {
    sent = sendfile(copy.get(), fd, &offset, size_t{1} << 20);
    if (sent < 0 && errno != EINTR) return Status(-errno);
  }
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return Status(-errno);
  return copy;
}

bool IsPlainName(const char* text) {
  return text != nullptr && *text != '\0' &&
         strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
             strlen(text);
}

bool IsLine(const char* text) { return text != nullptr && strpbrk(text, "\n\r") == nullptr; }

// What an entry point returned, looked over. Empty if it can be used.
std::string WhatIsWrongWithPlugin(const utrace_plugin* plugin) {
  if (plugin == nullptr) return "says that its engine cannot work here";
  // Nothing else may be read before these two are known to be right.
  if (plugin->abi != UTRACE_PLUGIN_ABI) {
    return fmt::format("was built for plug-in interface {}, this program loads {}; build it again",
                       plugin->abi, UTRACE_PLUGIN_ABI);
  }
  if (plugin->api_version != UTRACE_API_VERSION) {
    return fmt::format("was built for utrace interface {}, this program has {}; build it again",
                       plugin->api_version, UTRACE_API_VERSION);
  }
  if (!IsPlainName(plugin->name)) return "names its engine with other than letters, digits, _ - .";
  if (!IsLine(plugin->version) || !IsLine(plugin->summary)) {
    return "lacks a version or a summary of one line";
  }
  if (plugin->create == nullptr || plugin->attach == nullptr || plugin->finish == nullptr ||
      plugin->destroy == nullptr || (plugin->options == nullptr && plugin->option_count != 0)) {
    return "lacks functions that every engine has";
  }
  for (size_t n = 0; n < plugin->option_count; ++n) {
    const utrace_plugin_option& option = plugin->options[n];
    if (!IsPlainName(option.key) || !IsLine(option.values) || !IsLine(option.summary) ||
        option.kind > UTRACE_PLUGIN_DIRECTORY) {
      return fmt::format("describes its option number {} wrongly", n + 1);
    }
  }
  return "";
}

OptionInfo::Kind ToKind(uint32_t kind) {
  switch (kind) {
    case UTRACE_PLUGIN_OUTPUT_FILE:
      return OptionInfo::Kind::kOutputFile;
    case UTRACE_PLUGIN_DIRECTORY:
      return OptionInfo::Kind::kDirectory;
    default:
      return OptionInfo::Kind::kText;
  }
}

EngineInfo Describe(const utrace_plugin& plugin) {
  EngineInfo info{.name = plugin.name, .summary = plugin.summary, .options = {}};
  for (size_t n = 0; n < plugin.option_count; ++n) {
    const utrace_plugin_option& option = plugin.options[n];
    info.options.push_back({.key = option.key,
                            .values = option.values,
                            .summary = option.summary,
                            .kind = ToKind(option.kind)});
  }
  return info;
}

// Loads the copy of a file. Its entry point's answer; null, and *error, if it cannot be loaded.
const utrace_plugin* LoadObject(Descriptor copy, const std::string& name, std::string* error) {
  const std::string path = fmt::format("/proc/self/fd/{}", copy.get());
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    std::string why = dlerror();
    if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    *error = fmt::format("{}: cannot be loaded: {}", name, why);
    return nullptr;
  }
  // The dynamic linker knows the object by this path from now on, and would take the next one that
  // comes by it for the same: the descriptor stays.
  copy.Release();
  const auto entry =
      reinterpret_cast<decltype(&utrace_engine_plugin)>(dlsym(object, "utrace_engine_plugin"));
  if (entry == nullptr) {
    *error = fmt::format("{}: is no engine: it has no function utrace_engine_plugin", name);
    return nullptr;
  }
  const utrace_plugin* plugin = entry();
  const std::string wrong = WhatIsWrongWithPlugin(plugin);
  if (wrong.empty()) return plugin;
  *error = fmt::format("{}: {}", name, wrong);
  return nullptr;
}

}  // namespace
}  // namespace utrace

struct utrace_plugin_output {
  std::string what;  // for messages
  std::shared_ptr<utrace::LineWriter> writer;
};

namespace utrace {
namespace {

// What an instance was made with, for as long as the object may use it.
struct Request : utrace_plugin_request {
  // `problem` is one line if a file or directory cannot be handed over.
  Request(const EngineInfo& info, const Options& given, const EngineFiles& files,
          std::string* problem)
      : utrace_plugin_request{}, options(given) {
    outputs.push_back({.what = "standard error", .writer = files.Writer("")});
    for (const Options::Entry& entry : options.entries()) {
      utrace_plugin_setting one{
          .key = entry.key.c_str(), .value = entry.value.c_str(), .fd = -1, .output = nullptr};
      const auto option = std::ranges::find(info.options, entry.key, &OptionInfo::key);
      if (option->kind != OptionInfo::Kind::kText) {
        descriptors.emplace_back(fcntl(files.Find(entry.key), F_DUPFD_CLOEXEC, 0));
        one.fd = descriptors.back().get();
        if (one.fd < 0) {
          *problem = fmt::format("{}={}: {}", entry.key, entry.value, Status(-errno).ToString());
        }
      }
      if (option->kind == OptionInfo::Kind::kOutputFile) {
        outputs.push_back({.what = entry.value, .writer = files.Writer(entry.key)});
        one.output = &outputs.back();
      }
      list.push_back(one);
    }
    settings = list.data();
    setting_count = list.size();
    standard_error = &outputs.front();
    write = [](utrace_plugin_output* output, const char* lines, size_t size) {
      output->writer->Write({lines, size});
    };
    release = [](const utrace_plugin_request* request) {
      delete static_cast<const Request*>(request);
    };
  }

  const Options options;
  std::vector<utrace_plugin_setting> list;
  std::vector<Descriptor> descriptors;
  std::deque<utrace_plugin_output> outputs;  // standard error first
};

class PluginInstance final : public EngineInstance {
 public:
  PluginInstance(const utrace_plugin& plugin, void* instance,
                 std::deque<utrace_plugin_output> outputs)
      : plugin_(plugin), instance_(instance), outputs_(std::move(outputs)) {}
  ~PluginInstance() override { plugin_.destroy(instance_); }

  int Attach(utrace_task* task) override { return plugin_.attach(instance_, task); }

  std::vector<std::string> Finish() override {
    std::vector<std::string> lines;
    plugin_.finish(
        instance_,
        [](void* cookie, const char* line) {
          static_cast<std::vector<std::string>*>(cookie)->emplace_back(line);
        },
        &lines);
    for (const utrace_plugin_output& output : outputs_) {
      const LineWriter::Trouble trouble = output.writer->Finish();
      if (trouble.lost_lines != 0) lines.push_back(output.what + ": " + trouble.ToString());
    }
    for (std::string& line : lines) line.insert(0, std::string(plugin_.name) + ": ");
    return lines;
  }

 private:
  const utrace_plugin& plugin_;
  void* const instance_;
  const std::deque<utrace_plugin_output> outputs_;
};

}  // namespace

Plugin::Plugin(const utrace_plugin* plugin) : plugin_(plugin), info_(Describe(*plugin)) {}

std::shared_ptr<const Plugin> Plugin::Load(const std::string& path, std::string* error) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.valid()) return Load(file.get(), path, error);
  *error = fmt::format("{}: cannot be opened: {}", path, Status(-errno).ToString());
  return nullptr;
}

std::shared_ptr<const Plugin> Plugin::Load(int fd, const std::string& name, std::string* error) {
  struct stat file {};
  if (fstat(fd, &file) != 0) {
    *error = fmt::format("{}: cannot be read: {}", name, Status(-errno).ToString());
    return nullptr;
  }
  if (!S_ISREG(file.st_mode) || file.st_size > kLargestFile) {
    *error = fmt::format("{}: is {}", name,
                         S_ISREG(file.st_mode) ? "larger than 1 GiB" : "no regular file");
    return nullptr;
  }

  // One state of one file.
  using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long>;
  static std::mutex mutex;
  static std::map<Identity, std::shared_ptr<const Plugin>> loaded;
  const Identity identity{file.st_dev, file.st_ino, file.st_size, file.st_ctim.tv_sec,
                          file.st_ctim.tv_nsec};
  const std::lock_guard lock(mutex);
  if (const auto known = loaded.find(identity); known != loaded.end()) return known->second;

  Result<Descriptor> copy = CopyToMemory(fd, name);
  if (!copy) {
    *error = fmt::format("{}: cannot be read: {}", name, copy.status().ToString());
    return nullptr;
  }
  if (fstat(copy->get(), &file) != 0) file.st_size = 0;
  const std::string wrong = WhatIsWrongWithElf(copy->get(), static_cast<uint64_t>(file.st_size));
  if (!wrong.empty()) {
    *error = fmt::format("{}: {}", name, wrong);
    return nullptr;
  }
  const utrace_plugin* plugin = LoadObject(*std::move(copy), name, error);
  if (plugin == nullptr) return nullptr;
  return loaded.emplace(identity, std::shared_ptr<const Plugin>(new Plugin(plugin))).first->second;
}

std::unique_ptr<EngineInstance> Plugin::Make(const Options& options, const EngineFiles& files,
                                             std::string* error) const {
  std::string problem;
  auto request = std::make_unique<Request>(info_, options, files, &problem);
  if (!problem.empty()) {
    *error = problem;
    return nullptr;
  }
  std::deque<utrace_plugin_output> outputs = request->outputs;
  char why[512] = "";
  void* instance = plugin_->create(request.release(), why, sizeof why);
  if (instance != nullptr) {
    return std::make_unique<PluginInstance>(*plugin_, instance, std::move(outputs));
  }
  *error = why[0] != '\0' ? why : "the engine cannot be made, and does not say why";
  return nullptr;
}

}  // namespace utrace
