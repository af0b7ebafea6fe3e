#include "cli/task_tree.h"

#include <gtest/gtest.h>

namespace utrace::cli {
namespace {

std::string Item(int tid, const std::string& state, const std::string& engines) {
  return R"({"tid":)" + std::to_string(tid) +
         R"(,"pid":7,"process":"a\u001bb","command":"c","state":")" + state +
         R"(","status":"Utrace:\t60","mask":["EXEC"],"stopped_by":[],"kernel_state":"S",)" +
         R"("engines":[)" + engines + "]}";
}

constexpr char kLog[] =
    R"({"id":1,"name":"log","spec":"log","client":{"pid":9,"command":"run"},"events":["EXEC","EXIT"],)"
    R"("stops":false,"changes":{"signals":0,"calls":0,"aborts":0,"registers":0,"memory":0,)"
    R"("overruled":0}})";
constexpr char kDebugger[] =
    R"({"id":2,"name":"dbg","spec":"dbg","client":{"pid":8,"command":"attach"},"events":[],)"
    R"("stops":true,"changes":{"signals":2,"calls":3,"aborts":1,"registers":4,"memory":5,)"
    R"("overruled":6}})";

TEST(TaskTree, ShowsWhoDoesWhatAndLikeThreadsOnce) {
  EXPECT_EQ(
      TaskTree({Item(7, "running", kLog), Item(8, "running", kLog),
                Item(9, "stopped", std::string(kLog) + "," + kDebugger)}),
      "7 a?b\n"
      "├─ 7 .. 8 (2 threads)  c  running  Utrace:\t60\n"
      "│  └─ log #1 of utrace run (pid 9)  EXEC|EXIT\n"
      "└─ 9  c  stopped by dbg #2  Utrace:\t60\n"
      "   ├─ log #1 of utrace run (pid 9)  EXEC|EXIT\n"
      "   └─ dbg #2 of utrace attach (pid 8)  none; changed 2 signals, 3 calls, registers 4 times, "
      "memory 5 times; aborted 1 calls; overruled 6 times\n");
  EXPECT_EQ(TaskTree({}), "");
}

TEST(TaskTree, IsGroupedByProcessForPrograms) {
  EXPECT_EQ(TaskTreeAsJson({}), "{\n  \"processes\": []\n}\n");
  const std::string json = TaskTreeAsJson({Item(7, "running", kLog), Item(8, "dead", "")});
  EXPECT_NE(json.find("\"command\": \"a\\u001bb\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"tid\": 8"), std::string::npos) << json;
}

}  // namespace
}  // namespace utrace::cli
