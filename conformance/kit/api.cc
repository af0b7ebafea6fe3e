#include "conformance/kit/api.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

std::optional<Api>& Loaded() {
  static auto* loaded = new std::optional<Api>;
  return *loaded;
}

std::string MachineName(unsigned machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86_64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "i386";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    default:
      return "machine " + std::to_string(machine);
  }
}

std::string ClassName(unsigned char elf_class) {
  if (elf_class == ELFCLASS64) return "64-bit";
  if (elf_class == ELFCLASS32) return "32-bit";
  return "of word size class " + std::to_string(elf_class);
}

LoadResult Fail(LoadError error, std::string text) {
  return {std::nullopt, error, std::move(text)};
}

// Reads the header itself: what dlopen says about a foreign object does not tell which it is.
LoadResult CheckFile(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    return Fail(LoadError::kMissingFile, path + ": " + strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return Fail(LoadError::kNotElf, path + ": not a regular file; a shared object is needed");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(LoadError::kMissingFile, path + ": cannot be read: " + strerror(errno));
  unsigned char header[20] = {};
  file.read(reinterpret_cast<char*>(header), sizeof(header));
  if (file.gcount() != sizeof(header) || memcmp(header, ELFMAG, SELFMAG) != 0) {
    return Fail(LoadError::kNotElf, path + ": not an ELF file; a shared object is needed");
  }
  const bool big = header[EI_DATA] == ELFDATA2MSB;
  const unsigned machine = big ? header[18] * 256U + header[19] : header[19] * 256U + header[18];
  if (header[EI_CLASS] != ELFCLASS64 || big || machine != ThisMachine().elf_machine) {
    return Fail(LoadError::kWrongArchitecture,
                path + ": built for " + MachineName(machine) + " (" + ClassName(header[EI_CLASS]) +
                    (big ? ", big-endian" : "") + "); this suite needs an object for " +
                    MachineName(ThisMachine().elf_machine) + " (64-bit)");
  }
  return {};
}

}  // namespace

LoadResult LoadApi(const std::string& path) {
  LoadResult checked = CheckFile(path);
  if (checked.error != LoadError::kNone) return checked;
  // A name without a slash would be looked for in the system's library directories.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  // NOW: an object that lacks something it needs must fail here, not in the middle of a test.
  void* object = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return Fail(LoadError::kDlopen, dlerror());

  Api found;
  std::string missing;
  const auto find = [&](const char* name) {
    void* symbol = dlsym(object, name);
    if (symbol == nullptr) missing += (missing.empty() ? "" : ", ") + std::string(name);
    return symbol;
  };
#define UTRACE_KIT_FIND(name) found.name = reinterpret_cast<decltype(found.name)>(find(#name));
  UTRACE_KIT_API(UTRACE_KIT_FIND)
#undef UTRACE_KIT_FIND
  if (!missing.empty()) {
    return Fail(LoadError::kMissingSymbols,
                path +
                    ": does not export the whole interface (core/utrace.h, core/machine.h); "
                    "missing: " +
                    missing);
  }
  const unsigned long version = found.utrace_api_version();
  if (version != UTRACE_API_VERSION) {
    return Fail(LoadError::kWrongVersion,
                path + ": implements interface version " + std::to_string(version) +
                    "; this suite certifies version " + std::to_string(UTRACE_API_VERSION));
  }
  return {found, LoadError::kNone, ""};
}

const Api& api() {
  if (!Loaded()) {
    fputs("no implementation is loaded\n", stderr);
    abort();
  }
  return *Loaded();
}

void SetApi(const Api& loaded) { Loaded() = loaded; }
bool HasApi() { return Loaded().has_value(); }

}  // namespace utrace::kit
