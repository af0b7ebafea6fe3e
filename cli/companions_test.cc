#include "cli/companions.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace utrace::cli {
namespace {

namespace fs = std::filesystem;

class CompanionsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { fs::remove_all(dir_); }

  std::string Make(const std::string& path) const {
    const fs::path file = fs::path(dir_) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "x";
    return file;
  }

  std::string dir_ = testing::TempDir() + "companions_test.XXXXXX";
  std::string error_;
};

TEST_F(CompanionsTest, FindsInRunfilesByPathElsewhereByName) {
  const Companions companions(
      {{dir_ + "/runfiles", true}, {dir_ + "/bin", false}, {dir_ + "/lib", false}});
  const std::string in_lib = Make("lib/libutrace.so");
  EXPECT_EQ(companions.Find("core/libutrace.so", &error_), in_lib);
  const std::string in_bin = Make("bin/libutrace.so");
  EXPECT_EQ(companions.Find("core/libutrace.so", &error_), in_bin);
  Make("runfiles/libutrace.so");
  EXPECT_EQ(companions.Find("core/libutrace.so", &error_), in_bin);
  const std::string in_runfiles = Make("runfiles/core/libutrace.so");
  EXPECT_EQ(companions.Find("core/libutrace.so", &error_), in_runfiles);
  EXPECT_EQ(error_, "");
}

TEST_F(CompanionsTest, TellsWhereItLooked) {
  const Companions companions({{dir_ + "/runfiles", true}, {dir_ + "/bin", false}});
  fs::create_directories(dir_ + "/bin/runner");  // a directory does not count
  EXPECT_EQ(companions.Find("conformance/clauses/runner", &error_), "");
  EXPECT_NE(error_.find("cannot find runner"), std::string::npos) << error_;
  EXPECT_NE(error_.find("\n  " + dir_ + "/runfiles/conformance/clauses/runner\n  " + dir_ +
                        "/bin/runner\n"),
            std::string::npos)
      << error_;
}

TEST_F(CompanionsTest, KnowsThisProgram) {
  EXPECT_EQ(fs::path(ThisProgram()).filename(), "companions_test");
}

}  // namespace
}  // namespace utrace::cli
