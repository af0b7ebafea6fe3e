#include "conformance/kit/target.h"

#include <dlfcn.h>

#include <algorithm>
#include <sstream>

#include "conformance/kit/history_recorder.h"
#include "conformance/kit/hosted_threads.h"
#include "conformance/kit/threads.h"
#include "conformance/kit/verdict.h"

namespace utrace::kit {
namespace {

Target* loaded = nullptr;

}  // namespace

std::string LoadTarget(const std::string& path) {
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* object = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return dlerror();
  Target found;
  std::string missing;
  const auto find = [&](const char* name) {
    void* symbol = dlsym(object, name);
    if (symbol == nullptr) missing += (missing.empty() ? "" : ", ") + std::string(name);
    return symbol;
  };
#define UTRACE_KIT_FIND(name) found.name = reinterpret_cast<decltype(found.name)>(find(#name));
  UTRACE_KIT_FIND(utrace_target_version)
  if (found.utrace_target_version == nullptr) return "";
  const unsigned version = found.utrace_target_version();
  if (version != UTRACE_TARGET_VERSION) {
    return path + ": its driver for hosted implementations (core/utrace_target.h) has version " +
           std::to_string(version) + "; this suite needs version " +
           std::to_string(UTRACE_TARGET_VERSION);
  }
  missing.clear();
  UTRACE_KIT_TARGET_PART_A(UTRACE_KIT_FIND)
  if (dlsym(object, "utrace_target_run") != nullptr) {
    found.schedules = true;
    UTRACE_KIT_TARGET_PART_B(UTRACE_KIT_FIND)
  }
#undef UTRACE_KIT_FIND
  if (!missing.empty()) {
    return path +
           ": exports utrace_target_version but not the whole driver (core/utrace_target.h); "
           "missing: " +
           missing;
  }
  std::istringstream lines(found.utrace_target_capabilities());
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) found.capabilities.push_back(line);
  }
  loaded = new Target(found);
  if (loaded->schedules) {
    UseThreads(new HostedThreads(*loaded));
    SetThreadOfControl([] { return static_cast<uint64_t>(TheThreads().Self()); });
  }
  return "";
}

const Target* TheTarget() { return loaded; }

bool HostCan(const std::string& capability) {
  if (loaded == nullptr) return capability != "kernel-task";
  const std::vector<std::string>& all = loaded->capabilities;
  return std::find(all.begin(), all.end(), capability) != all.end();
}

void Needs(const std::string& capability) {
  if (!HostCan(capability)) NotApplicable(capability);
}

}  // namespace utrace::kit
