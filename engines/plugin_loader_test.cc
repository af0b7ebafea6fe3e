#include "engines/plugin_loader.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/engine.h"
#include "engines/registry.h"
#include "gtest/gtest.h"

namespace utrace {
namespace {

const std::string kGood = "engines/testing/plugin.so";

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class PluginLoader : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& contents) {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << contents;
    return path;
  }

  // Why `path` cannot be loaded; it is named first, and cut off here.
  static std::string Refusal(const std::string& path) {
    std::string error;
    EXPECT_EQ(Plugin::Load(path, &error), nullptr) << path;
    EXPECT_TRUE(error.starts_with(path + ": ")) << error;
    return error.substr(std::min(error.size(), path.size() + 2));
  }
  static std::string RefusalOf(const std::string& what) {
    return Refusal("engines/testing/plugin_" + what + ".so");
  }

  std::string dir_ = testing::TempDir() + "plugin_test.XXXXXX";
};

TEST_F(PluginLoader, DescribesTheEngine) {
  std::string error;
  const auto plugin = Plugin::Load(kGood, &error);
  ASSERT_NE(plugin, nullptr) << error;
  EXPECT_EQ(plugin->info().name, "testing");
  EXPECT_EQ(plugin->info().summary, "for tests");
  EXPECT_EQ(plugin->version(), "1.5");
  ASSERT_EQ(plugin->info().options.size(), 3U);
  EXPECT_EQ(plugin->info().options[0].kind, OptionInfo::Kind::kOutputFile);
  EXPECT_EQ(plugin->info().options[1].kind, OptionInfo::Kind::kDirectory);
  EXPECT_EQ(plugin->info().options[2].kind, OptionInfo::Kind::kText);
  EXPECT_EQ(plugin->info().options[2].values, "TEXT");
}

TEST_F(PluginLoader, MakesAnInstanceThatIsAttachedAndFinished) {
  const std::string log = dir_ + "/log";
  std::string error;
  const auto engine = MakeEngine(kGood + ":output=" + log + ",directory=" + dir_, &error);
  ASSERT_NE(engine, nullptr) << error;
  const auto pid = PidRef::Find(gettid());
  ASSERT_TRUE(pid);
  const auto task = pid->FindTask();
  ASSERT_TRUE(task);
  EXPECT_EQ(engine->Attach(task->get()), 0);
  EXPECT_EQ(engine->Attach(nullptr), -EINVAL);
  EXPECT_EQ(engine->Finish(),
            (std::vector<std::string>{"testing: 1 tasks", "testing: a directory"}));
  EXPECT_EQ(Contents(log), "attached to " + std::to_string(gettid()) + "\n");
}

TEST_F(PluginLoader, TellsOfLostOutput) {
  std::string error;
  const auto engine = MakeEngine(kGood + ":output=/dev/full", &error);
  ASSERT_NE(engine, nullptr) << error;
  const auto pid = PidRef::Find(gettid());
  ASSERT_TRUE(pid);
  const auto task = pid->FindTask();
  ASSERT_TRUE(task);
  EXPECT_EQ(engine->Attach(task->get()), 0);
  EXPECT_EQ(engine->Finish(),
            (std::vector<std::string>{"testing: 1 tasks",
                                      "testing: /dev/full: No space left on device; 1 line lost"}));
}

TEST_F(PluginLoader, RefusesOptions) {
  std::string error;
  EXPECT_EQ(MakeEngine(kGood + ":outputs=x", &error), nullptr);
  EXPECT_EQ(error,
            "testing has no option \"outputs\"; it has: output=FILE, directory=DIR, refuse=TEXT");
  EXPECT_EQ(MakeEngine(kGood + ":refuse=no such luck", &error), nullptr);
  EXPECT_EQ(error, "testing: no such luck");
  EXPECT_EQ(MakeEngine(kGood + ":directory=/nowhere", &error), nullptr);
  EXPECT_EQ(error,
            "testing: cannot use the directory \"/nowhere\": ENOENT (No such file or directory)");
}

TEST_F(PluginLoader, RefusesADirectoryThatCannotBeHandedOver) {
  std::string error;
  const auto choice = ChooseEngine(kGood + ":directory=/tmp", &error);
  ASSERT_TRUE(choice) << error;
  EXPECT_EQ(MakeEngine(*choice, EngineFiles(), &error), nullptr);
  EXPECT_EQ(error, "testing: directory=/tmp: EBADF (Bad file descriptor)");
}

TEST_F(PluginLoader, LoadsFromADescriptor) {
  const int fd = open(kGood.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  std::string error;
  const auto plugin = Plugin::Load(fd, "./mine.so", &error);
  close(fd);
  ASSERT_NE(plugin, nullptr) << error;
  EXPECT_TRUE(ChooseEngine("./mine.so:refuse=x", plugin, &error)) << error;
  EXPECT_EQ(Plugin::Load(-1, "./mine.so", &error), nullptr);
  EXPECT_EQ(error, "./mine.so: cannot be read: EBADF (Bad file descriptor)");
}

TEST_F(PluginLoader, LoadsAFileOnceAndAChangedOneAgain) {
  std::string error;
  const std::string path = Write("a.so", Contents(kGood));
  const auto first = Plugin::Load(path, &error);
  ASSERT_NE(first, nullptr) << error;
  EXPECT_EQ(Plugin::Load(path, &error), first);
  // In place, while an engine of the old one is there.
  const auto engine = MakeEngine(path, &error);
  ASSERT_NE(engine, nullptr) << error;
  Write("a.so", Contents("engines/testing/plugin_other_name.so"));
  const auto second = Plugin::Load(path, &error);
  ASSERT_NE(second, nullptr) << error;
  EXPECT_EQ(second->info().name, "testing.other");
  EXPECT_EQ(first->info().name, "testing");
  EXPECT_EQ(engine->Finish(), (std::vector<std::string>{"testing: 0 tasks"}));
}

TEST_F(PluginLoader, RefusesWhatIsNoSharedObject) {
  EXPECT_EQ(Refusal("./nowhere.so"), "cannot be opened: ENOENT (No such file or directory)");
  EXPECT_EQ(Refusal(dir_), "is no regular file");
  EXPECT_EQ(Refusal("/dev/null"), "is no regular file");
  EXPECT_EQ(Refusal(Write("empty.so", "")), "is no shared object");
  EXPECT_EQ(Refusal(Write("text.so", std::string(1000, 'x'))), "is no shared object");
  EXPECT_EQ(Refusal("/usr/bin/env"),
            "cannot be loaded: cannot dynamically load position-independent executable");
}

TEST_F(PluginLoader, RefusesDamagedObjects) {
  const std::string good = Contents(kGood);
  EXPECT_EQ(Refusal(Write("half.so", good.substr(0, good.size() / 8))),
            "is damaged: its end is missing");
  EXPECT_EQ(Refusal(Write("short.so", good.substr(0, sizeof(Elf64_Ehdr)))),
            "is damaged: its program headers are not there");
  std::string foreign = good;
  foreign[offsetof(Elf64_Ehdr, e_machine)] = '\xf3';
  foreign[offsetof(Elf64_Ehdr, e_machine) + 1] = 0;
  EXPECT_TRUE(Refusal(Write("foreign.so", foreign))
                  .starts_with("is for another machine (ELF machine 243, 64 bits); "));
}

TEST_F(PluginLoader, RefusesObjectsThatAreNoEngineForThisProgram) {
  EXPECT_EQ(RefusalOf("no_entry"), "is no engine: it has no function utrace_engine_plugin");
  EXPECT_EQ(RefusalOf("other_abi"),
            "was built for plug-in interface 7, this program loads 1; build it again");
  EXPECT_EQ(RefusalOf("other_api"),
            "was built for utrace interface 20080101, this program has 20090421; build it again");
  EXPECT_EQ(RefusalOf("needs_more"), "cannot be loaded: undefined symbol: utrace_of_another_day");
  EXPECT_EQ(RefusalOf("refuses"), "says that its engine cannot work here");
  EXPECT_EQ(RefusalOf("bad_name"), "names its engine with other than letters, digits, _ - .");
  EXPECT_EQ(RefusalOf("bad_option"), "describes its option number 2 wrongly");
  EXPECT_EQ(RefusalOf("incomplete"), "lacks functions that every engine has");
}

}  // namespace
}  // namespace utrace
