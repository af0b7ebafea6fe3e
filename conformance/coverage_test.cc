// The test of the suite: no clause of a covered chapter lacks a test, and no test names a clause that
// is not there. The clauses are read from docs/spec.md, the tests from the runner itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/covered_chapters.h"
#include "conformance/certify/runner.h"
#include "conformance/certify/spec_text.h"

namespace utrace::certify {
namespace {

bool IsCovered(int chapter) {
  return std::find(std::begin(kCoveredChapters), std::end(kCoveredChapters), chapter) !=
         std::end(kCoveredChapters);
}

// The clauses of covered chapters that none of the tests is for: "ATT-05 (MUST)".
std::vector<std::string> Untested(const ClauseTable& table, const std::vector<TestId>& tests) {
  std::set<std::string> tested;
  for (const TestId& test : tests) tested.insert(test.clause);
  std::vector<std::string> untested;
  for (const Clause& clause : table.clauses()) {
    if (clause.level == Level::kMay || !IsCovered(clause.chapter)) continue;
    if (tested.count(clause.id) != 0) continue;
    untested.push_back(clause.id + " (" + std::string(LevelName(clause.level)) + ")");
  }
  return untested;
}

std::string runner_path;

class Coverage : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    // Refuses a test that names no clause of the table.
    const auto tests = ListTests({.runner = runner_path, .scratch = testing::TempDir()},
                                 ClauseTable::BuiltIn(), &error);
    ASSERT_TRUE(tests.has_value()) << error;
    tests_ = *tests;
  }
  std::vector<TestId> tests_;
};

TEST_F(Coverage, EveryClauseOfTheSpecificationHasATest) {
  EXPECT_EQ(std::vector<std::string>(), Untested(ClauseTable::BuiltIn(), tests_));
}

// A clause that the parser overlooked would be one that nobody misses: here the ids are found
// wherever in a line they stand.
TEST_F(Coverage, TheTableHasEveryIdThatTheTextDefines) {
  const std::regex defines("\\*\\*\\[([A-Z]+-[0-9]+)\\]\\*\\*");
  const std::string text(kSpecText);
  size_t defined = 0;
  for (std::sregex_iterator found(text.begin(), text.end(), defines), end; found != end; ++found) {
    ++defined;
    EXPECT_NE(nullptr, ClauseTable::BuiltIn().Find((*found)[1].str())) << (*found)[1].str();
  }
  EXPECT_EQ(defined, ClauseTable::BuiltIn().clauses().size());
  EXPECT_GT(defined, 200U);
}

TEST_F(Coverage, AClauseWithoutATestIsNoticedWhateverItsLevel) {
  std::string text(kSpecText);
  const auto insert = [&text](const std::string& before, const std::string& clause) {
    const size_t at = text.find("\n- **[" + before + "]**");
    ASSERT_NE(std::string::npos, at);
    text.insert(at, "\n- **[" + clause);
  };
  insert("ATT-02", "ATT-98]** MUST doc. Nobody tests this.");
  insert("ATT-02", "ATT-99]** SHOULD doc. Nor this.");
  insert("LIM-02", "LIM-99]** Nor this limit.");
  std::string error;
  const std::optional<ClauseTable> table = ClauseTable::Parse(text, &error);
  ASSERT_TRUE(table.has_value()) << error;
  EXPECT_EQ((std::vector<std::string>{"ATT-98 (MUST)", "ATT-99 (SHOULD)", "LIM-99 (LIMIT)"}),
            Untested(*table, tests_));
}

}  // namespace
}  // namespace utrace::certify

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    std::fputs("usage: coverage_test RUNNER\n", stderr);
    return 2;
  }
  utrace::certify::runner_path = argv[1];
  return RUN_ALL_TESTS();
}
