// The test of the suite: no clause of a covered chapter lacks a test, and no test names a clause that
// is not there. The clauses are read from docs/spec.md, the tests from the runner itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/covered_chapters.h"
#include "conformance/certify/spec_text.h"

namespace utrace::certify {
namespace {

// Each line of `runner --list` is a test: "ATT_05.LookupOfNothingIsEnoent".
std::vector<std::string> ListTests(const std::string& runner) {
  std::vector<std::string> tests;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((runner + " --list").c_str(), "r"),
                                                   pclose);
  if (pipe == nullptr) return tests;
  std::array<char, 512> line;
  while (fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    std::string test(line.data());
    while (!test.empty() && (test.back() == '\n' || test.back() == '\r')) test.pop_back();
    if (!test.empty()) tests.push_back(test);
  }
  return tests;
}

std::string ClauseOf(const std::string& test) {
  std::string clause = test.substr(0, test.find('.'));
  std::replace(clause.begin(), clause.end(), '_', '-');
  return clause;
}

bool IsCovered(int chapter) {
  return std::find(std::begin(kCoveredChapters), std::end(kCoveredChapters), chapter) !=
         std::end(kCoveredChapters);
}

// What is wrong between a specification and a list of tests, a sentence each.
std::vector<std::string> Gaps(const ClauseTable& table, const std::vector<std::string>& tests) {
  std::vector<std::string> gaps;
  std::set<std::string> tested;
  for (const std::string& test : tests) {
    const std::string clause = ClauseOf(test);
    tested.insert(clause);
    if (table.Find(clause) == nullptr) {
      gaps.push_back("the test " + test + " names no clause of the specification");
    }
  }
  for (const Clause& clause : table.clauses()) {
    const bool wanted = clause.level != Level::kMay;
    if (wanted && IsCovered(clause.chapter) && tested.count(clause.id) == 0) {
      gaps.push_back(clause.id + " (" + std::string(LevelName(clause.level)) + ") has no test");
    }
  }
  return gaps;
}

std::string runner_path;

TEST(Coverage, EveryClauseOfTheSpecificationHasATest) {
  const std::vector<std::string> tests = ListTests(runner_path);
  ASSERT_FALSE(tests.empty()) << runner_path << " lists no test";
  for (const std::string& gap : Gaps(ClauseTable::BuiltIn(), tests)) ADD_FAILURE() << gap;
  std::map<Level, int> clauses;
  for (const Clause& clause : ClauseTable::BuiltIn().clauses()) ++clauses[clause.level];
  std::printf("%zu tests; clauses: %d MUST, %d SHOULD, %d LIMIT\n", tests.size(),
              clauses[Level::kMust], clauses[Level::kShould], clauses[Level::kLimit]);
}

// A clause that the parser overlooked would be one that nobody misses.
TEST(Coverage, TheTableHasEveryIdThatTheTextDefines) {
  size_t defined = 0;
  for (size_t at = 0; (at = kSpecText.find("\n- **[", at)) != std::string_view::npos; ++at)
    ++defined;
  EXPECT_EQ(defined, ClauseTable::BuiltIn().clauses().size());
  EXPECT_GT(defined, 200U);
}

TEST(Coverage, AClauseWithoutATestIsNoticed) {
  const std::vector<std::string> tests = ListTests(runner_path);
  std::string text(kSpecText);
  const size_t behind = text.find("\n- **[ATT-02]**");
  ASSERT_NE(std::string::npos, behind);
  text.insert(behind, "\n- **[ATT-99]** MUST doc. Nobody tests this.");
  std::string error;
  const std::optional<ClauseTable> table = ClauseTable::Parse(text, &error);
  ASSERT_TRUE(table.has_value()) << error;
  EXPECT_EQ((std::vector<std::string>{"ATT-99 (MUST) has no test"}), Gaps(*table, tests));
}

TEST(Coverage, ATestOfNoClauseIsNoticed) {
  std::vector<std::string> tests = ListTests(runner_path);
  tests.push_back("ATT_98.OfNothing");
  EXPECT_EQ(
      (std::vector<std::string>{"the test ATT_98.OfNothing names no clause of the specification"}),
      Gaps(ClauseTable::BuiltIn(), tests));
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
