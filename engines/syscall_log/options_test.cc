// What the options do to the log.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "engines/syscall_log/syscall_log_testing.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace utrace {
namespace {

using json = nlohmann::json;

std::string Error(const std::string& options) {
  std::string error;
  EXPECT_EQ(MakeEngine("syscall_log:output=/dev/null," + options, &error), nullptr);
  return error;
}

TEST(SyscallLogOptions, SaysWhatIsWrong) {
  EXPECT_EQ(Error("strings=many"), "syscall_log: strings=many: must be a number up to 1048576");
  EXPECT_EQ(Error("strings=-1"), "syscall_log: strings=-1: must be a number up to 1048576");
  EXPECT_EQ(Error("time=now"), "syscall_log: time=now: must be none, clock, us, epoch");
  EXPECT_EQ(Error("format=xml"), "syscall_log: format=xml: must be text, json, perfetto");
  EXPECT_EQ(Error("trace=opne"), "syscall_log: trace=opne: there is no system call \"opne\"");
  EXPECT_EQ(Error("trace=opne,strings=many"),
            "syscall_log: strings=many: must be a number up to 1048576");
  EXPECT_EQ(Error("failed=yes,successful=yes"),
            "syscall_log: failed and successful: only one can be yes");
  EXPECT_EQ(Error("format=json,unfinished=yes"),
            "syscall_log: unfinished=yes goes with format=text only");
  EXPECT_EQ(Error("format=perfetto,summary=yes"),
            "syscall_log: summary does not go with format=perfetto");
  EXPECT_NE(Error("format=json,time=us").find("text only"), std::string::npos);
  EXPECT_EQ(Error("path="), "syscall_log: path=: a path is missing");
  EXPECT_NE(Error("per_process=/nowhere").find("/nowhere"), std::string::npos);
}

TEST(SyscallLogOptions, FiltersByNameAndByOutcome) {
  const TaskRef task = fake::NewTask(300, 300);
  Log named(",trace=%file+getpid");
  Log failed(",failed=yes");
  Log successful(",successful=yes");
  for (Log* log : {&named, &failed, &successful}) log->Attach(task);
  Call(task, SYS_getpid, 0, 300);
  Call(task, SYS_read, -EBADF, 0);
  Call(task, SYS_chdir, -EFAULT, 0);
  fake::ReportSyscallEntry(task, SYS_exit_group);
  fake::ReportExit(task, 0);
  fake::ReportDeath(task, true, SIGCHLD);
  const std::string end = "[300] +++ exited with 0 +++\n";
  EXPECT_EQ(named.Text(),
            "[300] getpid() = 300\n[300] chdir(NULL) = -1 EFAULT (Bad address)\n" + end);
  EXPECT_EQ(failed.Text(),
            "[300] read(0, NULL, 0) = -1 EBADF (Bad file descriptor)\n"
            "[300] chdir(NULL) = -1 EFAULT (Bad address)\n" +
                end);
  EXPECT_EQ(successful.Text(), "[300] getpid() = 300\n" + end);
}

TEST(SyscallLogOptions, AFilteredExecIsNotMentioned) {
  const TaskRef task = fake::NewTask(301, 301);
  Log log(",trace=getpid");
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_execve);
  fake::ReportExec(task, "/usr/bin/ls", 301);
  fake::ReportSyscallExit(task, 0, 0);
  Call(task, SYS_getpid, 0, 301);
  EXPECT_EQ(log.Text(), "[301] getpid() = 301\n");
}

TEST(SyscallLogOptions, FiltersByPath) {
  const TaskRef task = fake::NewTask(302, 302);
  fake::SetMemory(task, 0x1000, std::string("/etc/passwd\0", 12));
  Log log(",path=/etc/passwd");
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_chdir, {0x1000});
  fake::ReportSyscallExit(task, -ENOTDIR, 0);
  fake::ReportSyscallEntry(task, SYS_chdir, {0x1004});
  fake::ReportSyscallExit(task, -ENOENT, 0);
  Call(task, SYS_getpid, 0, 302);
  EXPECT_EQ(log.Text(), "[302] chdir(\"/etc/passwd\") = -1 ENOTDIR (Not a directory)\n");
}

TEST(SyscallLogOptions, ACallInTwoLinesIfOthersComeBetween) {
  const TaskRef first = fake::NewTask(303, 303);
  const TaskRef second = fake::NewTask(304, 303);
  Log log(",unfinished=yes");
  log.Attach(first);
  log.Attach(second);
  Call(first, SYS_getpid, 0, 303);
  fake::ReportSyscallEntry(first, SYS_read, {3, 0, 10});
  Call(second, SYS_gettid, 0, 304);
  fake::ReportSyscallEntry(second, SYS_close, {3});
  fake::ReportSyscallExit(first, 0, 0);
  fake::ReportSyscallExit(second, 0, 0);
  fake::ReportSyscallEntry(second, SYS_read, {4, 0, 10});
  Call(first, SYS_getpid, 0, 303);
  EXPECT_EQ(log.Text(),
            "[303] getpid() = 303\n"
            "[303] read(3,  <unfinished ...>\n"
            "[304] gettid() = 304\n"
            "[304] close(3 <unfinished ...>\n"
            "[303] <... read resumed>NULL, 10) = 0\n"
            "[304] <... close resumed>) = 0\n"
            "[304] read(4,  <unfinished ...>\n"
            "[303] getpid() = 303\n"
            "[304] <... read resumed>) = ? <detached ...>\n");
}

TEST(SyscallLogOptions, Times) {
  const TaskRef task = fake::NewTask(305, 305);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {",time=clock", R"(\[305\] \d\d:\d\d:\d\d getpid\(\) = 305\n)"},
      {",time=us", R"(\[305\] \d\d:\d\d:\d\d\.\d{6} getpid\(\) = 305\n)"},
      {",time=epoch", R"(\[305\] \d{10}\.\d{6} getpid\(\) = 305\n)"},
      {",relative=yes", R"(\[305\]      0\.000000 getpid\(\) = 305\n)"},
      {",duration=yes", R"(\[305\] getpid\(\) = 305 <\d\.\d{6}>\n)"},
  };
  for (const auto& [options, pattern] : cases) {
    Log log(options);
    log.Attach(task);
    Call(task, SYS_getpid, 0, 305);
    const std::string text = log.Text();
    EXPECT_TRUE(std::regex_match(text, std::regex(pattern))) << text;
  }
}

TEST(SyscallLogOptions, Summary) {
  const TaskRef task = fake::NewTask(306, 306);
  Log table(",summary=only");
  Log lines(",summary=yes,format=json");
  table.Attach(task);
  lines.Attach(task);
  for (int i = 0; i < 3; ++i) Call(task, SYS_getpid, 0, 306);
  Call(task, SYS_close, -EBADF, 0);
  const std::string text = table.Text();
  EXPECT_TRUE(text.starts_with("% time     seconds  usecs/call     calls    errors syscall\n"))
      << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("\n +\\S+ +\\S+ +\\d+ +3 +getpid\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("\n +\\S+ +\\S+ +\\d+ +1 +1 close\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("\n\\S+ +\\S+ +4 +1 total\n$"))) << text;
  EXPECT_EQ(text.find("= 306"), std::string::npos);

  std::istringstream all(lines.Text());
  std::vector<json> events;
  for (std::string line; std::getline(all, line);) events.push_back(json::parse(line));
  ASSERT_EQ(events.size(), 5u);
  uint64_t calls = 0;
  for (const json& row : events[4]["calls"]) calls += row["calls"].get<uint64_t>();
  EXPECT_EQ(calls, 4u);
}

TEST(SyscallLogOptions, AFileForEachProcess) {
  const std::string directory = ::testing::TempDir() + "/per_process." + std::to_string(getpid());
  std::filesystem::create_directory(directory);
  const auto text_of = [&](const std::string& name) {
    std::ifstream file(directory + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  };
  std::ofstream(directory + "/308.log") << "older\n";
  const TaskRef one = fake::NewTask(307, 307);
  const TaskRef two = fake::NewTask(308, 308);
  const TaskRef thread = fake::NewTask(309, 308);
  Log log(",per_process=" + directory);
  for (const TaskRef& task : {one, two, thread}) log.Attach(task);
  Call(one, SYS_getpid, 0, 307);
  Call(two, SYS_getpid, 0, 308);
  Call(thread, SYS_gettid, 0, 309);
  fake::ReportExit(one, 0);
  fake::ReportDeath(one, true, SIGCHLD);
  EXPECT_EQ(text_of("307.log"), "[307] getpid() = 307\n[307] +++ exited with 0 +++\n")
      << "whole as soon as the process has ended";
  EXPECT_EQ(log.Text(), "");
  EXPECT_EQ(text_of("308.log"), "older\n");
  EXPECT_EQ(text_of("308.2.log"), "[308] getpid() = 308\n[309] gettid() = 309\n");
  std::filesystem::remove_all(directory);
}

TEST(SyscallLogOptions, PerfettoIsWholeAndCanBeCut) {
  const TaskRef task = fake::NewTask(310, 310);
  Log log(",format=perfetto");
  log.Attach(task);
  Call(task, SYS_getpid, 0, 310);
  Call(task, SYS_close, -EBADF, 0);
  fake::ReportSignal(task, Events::kSignal, SignalInfo(SIGUSR1));
  fake::ReportJctl(task, CLD_STOPPED, CLD_STOPPED);
  fake::ReportExit(task, 0);
  fake::ReportDeath(task, true, SIGCHLD);
  const std::string text = log.Text();
  const json events = json::parse(text);
  std::string shown;
  for (const json& event : events) {
    shown += event["ph"].get<std::string>() + ":" + event["name"].get<std::string>() + " ";
  }
  EXPECT_EQ(shown,
            "M:process_name M:thread_name X:getpid X:close i:SIGUSR1 i:stopped i:exit "
            "M:trace_end ");
  EXPECT_EQ(events[3]["args"], json::parse(R"({"fd":0,"error":"EBADF"})"));
  // Its readers do without what is missing; others need it closed.
  const size_t line_end = text.find('\n', text.size() / 2);
  EXPECT_TRUE(json::accept(text.substr(0, line_end - 1) + "]"));
}

TEST(SyscallLogOptions, JsonOfCallsWithoutAResult) {
  const TaskRef task = fake::NewTask(311, 311);
  Log log(",format=json");
  fake::SetSyscall(task, SYS_read);
  log.Attach(task);
  fake::ReportSyscallExit(task, 0, 5);
  fake::ReportSyscallEntry(task, SYS_pause);
  fake::ReportDeath(task, true, SIGCHLD);  // no exit report after SIGKILL
  std::istringstream lines(log.Text());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["entry_seen"], false);
  EXPECT_EQ(json::parse(line)["result"], 5);
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["ended"], "never");
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["status"], json::parse(R"({"killed":"SIGKILL"})"));
}

}  // namespace
}  // namespace utrace
