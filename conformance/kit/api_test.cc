// What the loader says about objects that are no implementation.
#include "conformance/kit/api.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

std::string Data(const std::string& name) { return "conformance/kit/" + name; }

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(::testing::TempDir() + "/object_" + std::to_string(getpid()) + ".so") {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string Header(unsigned char elf_class, uint16_t machine) {
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header));
}

void ExpectError(const std::string& path, LoadError error, const std::string& words) {
  const LoadResult result = LoadApi(path);
  EXPECT_FALSE(result.api);
  EXPECT_EQ(error, result.error);
  EXPECT_NE(std::string::npos, result.text.find(words)) << result.text;
}

TEST(LoadApi, MissingFile) {
  ExpectError("/nonexistent/x.so", LoadError::kMissingFile, "No such file");
}

TEST(LoadApi, NotElf) {
  const TemporaryFile text("#!/bin/sh\necho this is a script, longer than a header\n");
  ExpectError(text.path(), LoadError::kNotElf, "not an ELF file");
  const TemporaryFile empty("");
  ExpectError(empty.path(), LoadError::kNotElf, "not an ELF file");
  ExpectError("/", LoadError::kNotElf, "not a regular file");
}

TEST(LoadApi, WrongArchitecture) {
  const TemporaryFile arm(Header(ELFCLASS64, EM_RISCV));
  ExpectError(arm.path(), LoadError::kWrongArchitecture, "riscv (64-bit)");
  const TemporaryFile narrow(Header(ELFCLASS32, EM_386));
  ExpectError(narrow.path(), LoadError::kWrongArchitecture, "i386 (32-bit)");
}

TEST(LoadApi, TruncatedObject) {
  const TemporaryFile cut(Header(ELFCLASS64, ThisMachine().elf_machine));
  ExpectError(cut.path(), LoadError::kDlopen, cut.path());
}

TEST(LoadApi, ListsEveryMissingSymbol) {
  ExpectError(Data("fake_incomplete.so"), LoadError::kMissingSymbols,
              "missing: utrace_barrier, utrace_barrier_pid");
}

TEST(LoadApi, WrongVersion) {
  ExpectError(Data("fake_old.so"), LoadError::kWrongVersion, "20090101");
}

TEST(LoadApi, Complete) {
  const LoadResult result = LoadApi(Data("fake.so"));
  ASSERT_TRUE(result.api) << result.text;
  EXPECT_EQ(LoadError::kNone, result.error);
  EXPECT_EQ(UTRACE_API_VERSION, static_cast<long>(result.api->utrace_api_version()));
  SetApi(*result.api);
  EXPECT_EQ(nullptr, api().utrace_current());
}

}  // namespace
}  // namespace utrace::kit
