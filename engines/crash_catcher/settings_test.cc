#include "engines/crash_catcher/settings.h"

#include <csignal>
#include <string>

#include "gtest/gtest.h"

namespace utrace::crash {
namespace {

std::optional<Settings> Parse(const std::string& options, std::string* error) {
  const auto spec = ParseEngineSpec("crash_catcher:" + options, error);
  return spec ? ParseSettings(spec->options, error) : std::nullopt;
}

Settings Good(const std::string& options) {
  std::string error;
  const auto settings = Parse(options, &error);
  EXPECT_TRUE(settings) << options << ": " << error;
  return settings.value_or(Settings{});
}

std::string ErrorOf(const std::string& options) {
  std::string error;
  EXPECT_FALSE(Parse(options, &error)) << options;
  return error;
}

TEST(CrashSettings, WithoutADirectoryThereIsNoCoreFile) {
  const Settings settings = Good("");
  EXPECT_TRUE(settings.text);
  EXPECT_FALSE(settings.json);
  EXPECT_EQ(settings.core, Settings::Core::kNo);
  EXPECT_TRUE(settings.follow);
  EXPECT_FALSE(settings.environment);
  EXPECT_EQ(Good("dir=/tmp").core, Settings::Core::kPlain);
  EXPECT_EQ(Good("dir=/tmp,core=no").core, Settings::Core::kNo);
  EXPECT_EQ(Good("dir=/tmp,core=zstd").core, Settings::Core::kZstd);
  EXPECT_EQ(ErrorOf("core=yes"), "core=yes: there is no directory for it; add dir=DIR");
  EXPECT_EQ(ErrorOf("core=gzip,dir=/tmp"), "core=gzip: must be yes, no or zstd");
}

TEST(CrashSettings, Formats) {
  EXPECT_TRUE(Good("format=both").text && Good("format=both").json);
  EXPECT_TRUE(!Good("format=json").text && Good("format=json").json);
  EXPECT_EQ(ErrorOf("format=xml"), "format=xml: must be text, json or both");
}

TEST(CrashSettings, Signals) {
  EXPECT_EQ(Good("signals=SEGV+SIGABRT+15").signals, (std::set<int>{SIGABRT, SIGSEGV, SIGTERM}));
  EXPECT_EQ(ErrorOf("signals=SEGV+KILL"),
            "signals=SEGV+KILL: \"KILL\" is no signal that can be caught; write SEGV+ABRT");
  EXPECT_EQ(ErrorOf("signals=SEGV+"),
            "signals=SEGV+: \"\" is no signal that can be caught; write SEGV+ABRT");
  EXPECT_NE(ErrorOf("signals=").find("names no signal"), std::string::npos);
}

TEST(CrashSettings, ReportsWithoutADeath) {
  EXPECT_EQ(Good("on=timeout=30s").hang_timeout, std::chrono::seconds(30));
  EXPECT_EQ(Good("on=timeout=250ms").hang_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(Good("on=timeout=5m").hang_timeout, std::chrono::minutes(5));
  EXPECT_EQ(Good("on=SIGUSR2").hang_signal, SIGUSR2);
  EXPECT_FALSE(Good("on=SIGUSR2").hang_timeout);
  for (const std::string bad : {"timeout=", "timeout=30", "timeout=0s", "timeout=-1s", "timeout=s",
                                "timeout=99999999999999999999s"}) {
    EXPECT_NE(ErrorOf("on=" + bad).find("a number with ms, s or m"), std::string::npos) << bad;
  }
  EXPECT_NE(ErrorOf("on=KILL").find("a signal that can be caught"), std::string::npos);
  EXPECT_NE(ErrorOf("on=often").find("timeout=TIME"), std::string::npos);
}

}  // namespace
}  // namespace utrace::crash
