#include "conformance/certify/clause_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "conformance/certify/covered_chapters.h"
#include "conformance/certify/spec_text.h"

namespace utrace::certify {
namespace {

std::string ParseError(std::string_view text) {
  std::string error;
  return ClauseTable::Parse(text, &error) ? "" : error;
}

TEST(ClauseTable, ReadsIdLevelKindChapterAndText) {
  std::string error;
  const auto table = ClauseTable::Parse(
      "# title\n## 3. Attaching\nprose\n- **[ATT-05]** MUST doc. A lookup. It fails.\n"
      "- **[ATT-21]** SHOULD ruling. Flags.\n## 20. Bad input\n- **[BAD-01]** MUST. Null.\n"
      "## 22. Limits\n- **[LIM-01]** KIL-03: may be missing.",
      &error);
  ASSERT_TRUE(table) << error;
  ASSERT_EQ(table->clauses().size(), 4u);

  const Clause* clause = table->Find("ATT-05");
  ASSERT_NE(clause, nullptr);
  EXPECT_EQ(clause->level, Level::kMust);
  EXPECT_EQ(clause->kind, "doc");
  EXPECT_EQ(clause->chapter, 3);
  EXPECT_EQ(clause->text, "A lookup. It fails.");
  EXPECT_EQ(clause->family(), "ATT");

  EXPECT_EQ(table->Find("ATT-21")->level, Level::kShould);
  EXPECT_EQ(table->Find("ATT-21")->kind, "ruling");
  EXPECT_EQ(table->Find("BAD-01")->kind, "");
  EXPECT_EQ(table->Find("BAD-01")->text, "Null.");
  EXPECT_EQ(table->Find("BAD-01")->chapter, 20);
  EXPECT_EQ(table->Find("LIM-01")->level, Level::kLimit);
  EXPECT_EQ(table->Find("LIM-01")->text, "KIL-03: may be missing.");
  EXPECT_EQ(table->Find("ATT-99"), nullptr);
  EXPECT_EQ(table->FindChapter(3)->title, "Attaching");
  EXPECT_EQ(table->FindChapter(4), nullptr);
  EXPECT_TRUE(table->HasFamily("ATT"));
  EXPECT_FALSE(table->HasFamily("AT"));
}

TEST(ClauseTable, RefusesWhatItWouldOtherwiseOverlook) {
  const std::string head = "## 3. Attaching\n";
  EXPECT_NE(ParseError(head + "- **[ATT-5x]** MUST doc. Text."), "");
  EXPECT_NE(ParseError(head + "- **[ATT-05]**MUST doc. Text."), "");
  EXPECT_NE(ParseError(head + "- **[ATT-05]** must doc. Text."), "");
  EXPECT_NE(ParseError(head + "- **[ATT-05]** MUST doc Text"), "");
  EXPECT_NE(ParseError(head + "- **[ATT-05]** Text."), "");
  EXPECT_NE(ParseError(head + "* **[ATT-05]** MUST doc. Text."), "");
  EXPECT_NE(ParseError(head + "  - **[ATT-05]** MUST doc. Text."), "");
  EXPECT_NE(ParseError(head + "no clause"), "");
  EXPECT_NE(ParseError("- **[ATT-05]** MUST doc. Text."), "");
  EXPECT_NE(ParseError("## Attaching\n"), "");
  const std::string twice = "- **[ATT-05]** MUST doc. Text.\n";
  EXPECT_EQ(ParseError(head + twice + twice), "specification, line 3: ATT-05 was there before");
}

TEST(ClauseTable, BuiltInTableHoldsTheWholeSpecification) {
  std::string error;
  ASSERT_TRUE(ClauseTable::Parse(kSpecText, &error)) << error;
  const ClauseTable& table = ClauseTable::BuiltIn();

  // Counted in another way than the parser does.
  size_t marks = 0;
  for (size_t at = 0; (at = kSpecText.find("- **[", at)) != std::string_view::npos; ++at) ++marks;
  EXPECT_EQ(table.clauses().size(), marks);
  EXPECT_GE(table.clauses().size(), 220u);

  EXPECT_EQ(table.chapters().size(), 22u);
  EXPECT_EQ(table.chapters().front().title, "Terms");
  EXPECT_EQ(table.Find("ATT-05")->text,
            "A lookup that matches nothing returns -ENOENT, also on a task that never had an "
            "engine.");
  for (int chapter : kCoveredChapters) {
    EXPECT_TRUE(std::any_of(table.clauses().begin(), table.clauses().end(),
                            [&](const Clause& clause) { return clause.chapter == chapter; }))
        << "chapter " << chapter;
  }
}

}  // namespace
}  // namespace utrace::certify
