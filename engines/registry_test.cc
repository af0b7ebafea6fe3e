#include "engines/registry.h"

#include <string>

#include "gtest/gtest.h"

namespace utrace {
namespace {

std::string ErrorOf(std::string_view spec) {
  std::string error;
  EXPECT_EQ(MakeEngine(spec, &error), nullptr) << spec;
  return error;
}

TEST(Registry, MakesEngines) {
  std::string error;
  EXPECT_NE(MakeEngine("syscall_log", &error), nullptr) << error;
  EXPECT_NE(MakeEngine("syscall_log:", &error), nullptr) << error;
  EXPECT_NE(MakeEngine("syscall_log:output=/dev/null,follow=no,signals=no", &error), nullptr)
      << error;
}

TEST(Registry, SaysWhatThereIs) {
  EXPECT_EQ(
      ErrorOf("strace"),
      "there is no engine \"strace\"; there are: crash_catcher, syscall_log, or the path of one, "
      "with a '/'");
  const std::string no_option = ErrorOf("syscall_log:ouput=x");
  EXPECT_TRUE(no_option.starts_with(
      "syscall_log has no option \"ouput\"; it has: output=FILE, follow=yes|no, signals=yes|no"))
      << no_option;
  EXPECT_EQ(ErrorOf("syscall_log:follow=maybe"), "syscall_log: follow=maybe: must be yes or no");
  EXPECT_EQ(ErrorOf("syscall_log:output=/nowhere/log"),
            "syscall_log: cannot write \"/nowhere/log\": ENOENT (No such file or directory)");
  EXPECT_EQ(ErrorOf("syscall_log:output="),
            "syscall_log: cannot write \"\": ENOENT (No such file or directory)");
}

TEST(Registry, RefusesMalformedSpecs) {
  EXPECT_NE(ErrorOf("").find("name is missing"), std::string::npos);
  EXPECT_NE(ErrorOf(":output=x").find("name is missing"), std::string::npos);
  EXPECT_NE(ErrorOf("syscall_log:follow").find("\"follow\" is no option"), std::string::npos);
  EXPECT_NE(ErrorOf("syscall_log:=yes").find("is no option"), std::string::npos);
  EXPECT_NE(ErrorOf("syscall_log:follow=no,follow=no").find("given twice"), std::string::npos);
}

TEST(Registry, DescribesEveryEngine) {
  for (const EngineInfo& engine : Engines()) {
    EXPECT_FALSE(engine.summary.empty()) << engine.name;
    for (const OptionInfo& option : engine.options) {
      EXPECT_FALSE(option.values.empty() || option.summary.empty()) << option.key;
    }
  }
}

TEST(Options, ABackslashTakesTheNextCharacterAsItIs) {
  std::string error;
  const auto spec = ParseEngineSpec(R"(e:output=a\,b\\c=d:e,x=)", &error);
  ASSERT_TRUE(spec) << error;
  EXPECT_EQ(spec->name, "e");
  EXPECT_EQ(*spec->options.Find("output"), R"(a,b\c=d:e)");
  EXPECT_EQ(*spec->options.Find("x"), "");
  EXPECT_EQ(spec->options.Find("y"), nullptr);
}

}  // namespace
}  // namespace utrace
