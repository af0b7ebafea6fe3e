#include "cli/engine_specs.h"

#include <gtest/gtest.h>

namespace utrace::cli {
namespace {

// The specs with a blank behind each, or the error in brackets.
std::string Specs(const std::vector<std::string>& engines, const std::string& output) {
  std::string error;
  std::string text;
  for (const std::string& spec : EngineSpecs(engines, output, &error)) {
    text += spec + " ";
  }
  return error.empty() ? text : "[" + error + "]";
}

TEST(EngineSpecs, FillsInTheDefault) {
  EXPECT_EQ(Specs({}, ""), "syscall_log ");
  EXPECT_EQ(Specs({}, "a.log"), "syscall_log:output=a.log ");
  EXPECT_EQ(Specs({"x", "y:k=v"}, ""), "x y:k=v ");
}

TEST(EngineSpecs, GivesTheOutputToTheOneWithout) {
  EXPECT_EQ(Specs({"x:follow=no"}, "a.log"), "x:follow=no,output=a.log ");
  EXPECT_EQ(Specs({"x:output=b", "y"}, "a.log"), "x:output=b y:output=a.log ");
  EXPECT_EQ(Specs({"crash_catcher", "syscall_log"}, "a.log"),
            "crash_catcher syscall_log:output=a.log ");
  EXPECT_EQ(Specs({"x"}, "a,b\\c"), "x:output=a\\,b\\\\c ");
}

TEST(EngineSpecs, RefusesAnOutputForSeveralOrNone) {
  EXPECT_EQ(Specs({"x", "y"}, "a.log"),
            "[-o a.log: more than one engine has no output of its own (x and y); give each one "
            "with -e ENGINE:output=FILE]");
  EXPECT_EQ(Specs({"x:output=b"}, "a.log"),
            "[-o a.log: no engine wants it: each has an output of its own]");
}

}  // namespace
}  // namespace utrace::cli
