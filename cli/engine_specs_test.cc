#include "cli/engine_specs.h"

#include <gtest/gtest.h>

namespace utrace::cli {
namespace {

// The specs with a blank behind each, or the error in brackets.
std::string Specs(const EngineArguments& arguments) {
  std::string error;
  std::string text;
  for (const std::string& spec : EngineSpecs(arguments, &error)) text += spec + " ";
  return error.empty() ? text : "[" + error + "]";
}

std::string Specs(const std::vector<std::string>& engines, const std::string& output) {
  EngineArguments arguments;
  arguments.engines = engines;
  arguments.output = output;
  return Specs(arguments);
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

TEST(EngineSpecs, GivesShortOptionsToEverySyscallLog) {
  EngineArguments arguments;
  arguments.trace = "openat,%network";
  arguments.paths = {"/a,b", "/c"};
  arguments.failed = true;
  arguments.summary = true;
  arguments.descriptors = true;
  EXPECT_EQ(Specs(arguments),
            "syscall_log:trace=openat+%network,path=/a\\,b+/c,failed=yes,summary=only,paths=yes ");

  EngineArguments some;
  some.failed = true;
  some.engines = {"syscall_log", "crash_catcher", "syscall_log:failed=no"};
  EXPECT_EQ(Specs(some), "syscall_log:failed=yes crash_catcher syscall_log:failed=no ");
  some.engines = {"crash_catcher"};
  EXPECT_EQ(Specs(some),
            "[-Z: it is an option of syscall_log, which is not among the engines; add -e "
            "syscall_log]");
}

}  // namespace
}  // namespace utrace::cli
