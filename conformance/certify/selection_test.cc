#include "conformance/certify/selection.h"

#include <gtest/gtest.h>

namespace utrace::certify {
namespace {

const ClauseTable& Table() {
  static const ClauseTable* const table = [] {
    std::string error;
    return new ClauseTable(*ClauseTable::Parse(
        "## 3. Attaching\n- **[ATT-05]** MUST doc. A.\n- **[ATT-06]** MUST doc. B."
        "\n- **[ATT-07]** MUST doc. C.\n## 6. Controlling\n"
        "- **[CTL-01]** MUST doc. D.\n",
        &error));
  }();
  return *table;
}

std::vector<TestId> Tests() {
  std::string error;
  return *ParseTestList("CTL_01.Four\nATT_05.One\nATT_05.Two\nATT_06.Three\n", Table(), &error);
}

// The ids of the selected tests with a blank behind each, or the error in brackets.
std::string Selected(const std::vector<std::string>& only) {
  std::string error;
  const auto chosen = SelectTests(Tests(), only, Table(), &error);
  if (!chosen) return "[" + error + "]";
  std::string ids;
  for (const TestId& test : *chosen) ids += test.id + " ";
  return ids;
}

std::string ListError(std::string_view list) {
  std::string error;
  return ParseTestList(list, Table(), &error) ? "" : error;
}

TEST(ParseTestList, FindsClauseAndNameAndSortsByTheSpecification) {
  const std::vector<TestId> tests = Tests();
  ASSERT_EQ(tests.size(), 4u);
  EXPECT_EQ(tests[0].id, "ATT_05.One");
  EXPECT_EQ(tests[0].clause, "ATT-05");
  EXPECT_EQ(tests[0].name, "One");
  EXPECT_EQ(tests[3].id, "CTL_01.Four");
}

TEST(ParseTestList, RefusesWhatIsNoTestOfAClause) {
  EXPECT_EQ(ListError("ATT_05"), "\"ATT_05\" is no test id such as ATT_05.Name");
  EXPECT_NE(ListError("Running main() from gtest_main.cc"), "");
  EXPECT_NE(ListError("ATT_99.One").find("no ATT-99"), std::string::npos);
  EXPECT_EQ(ListError("ATT_05.One\nATT_05.One"), "the test ATT_05.One comes twice");
}

TEST(SelectTests, TakesEveryKindOfId) {
  EXPECT_EQ(Selected({}), "ATT_05.One ATT_05.Two ATT_06.Three CTL_01.Four ");
  EXPECT_EQ(Selected({"ATT-05"}), "ATT_05.One ATT_05.Two ");
  EXPECT_EQ(Selected({"att_05"}), "ATT_05.One ATT_05.Two ");
  EXPECT_EQ(Selected({"ATT"}), "ATT_05.One ATT_05.Two ATT_06.Three ");
  EXPECT_EQ(Selected({"6"}), "CTL_01.Four ");
  EXPECT_EQ(Selected({"ATT_05.Two"}), "ATT_05.Two ");
  EXPECT_EQ(Selected({"6", "ATT_05.Two", "CTL-01"}), "ATT_05.Two CTL_01.Four ");
}

TEST(SelectTests, SuggestsForAnUnknownId) {
  EXPECT_EQ(Selected({"ATT-50"}), "[--only: nothing is called \"ATT-50\"; did you mean ATT-05?]");
  EXPECT_EQ(Selected({"ATR"}), "[--only: nothing is called \"ATR\"; did you mean ATT?]");
  EXPECT_EQ(Selected({"ATT_05.Tow"}),
            "[--only: nothing is called \"ATT_05.Tow\"; did you mean ATT_05.Two?]");
  EXPECT_NE(Selected({"nonsense-of-some-length"}).find("it takes a clause"), std::string::npos);
  EXPECT_NE(Selected({"99"}).find("nothing is called \"99\""), std::string::npos);
  EXPECT_NE(Selected({""}).find("nothing is called"), std::string::npos);
}

TEST(SelectTests, RefusesAnIdWithoutATest) {
  EXPECT_EQ(Selected({"ATT-07"}),
            "[--only: the suite has no test for \"ATT-07\" yet; leave it out]");
}

}  // namespace
}  // namespace utrace::certify
