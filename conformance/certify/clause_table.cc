#include "conformance/certify/clause_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "conformance/certify/spec_text.h"

namespace utrace::certify {
namespace {

constexpr std::string_view kClauseStart = "- **[";
constexpr std::string_view kClauseIdEnd = "]** ";
constexpr std::string_view kChapterStart = "## ";

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Two or more capitals, a dash, two or more digits.
bool IsClauseId(std::string_view id) {
  const size_t dash = id.find('-');
  if (dash == std::string_view::npos || dash < 2 || id.size() - dash < 3) return false;
  return std::all_of(id.begin(), id.begin() + dash, IsUpper) &&
         std::all_of(id.begin() + dash + 1, id.end(), IsDigit);
}

// Takes "WORD" off the front of *text if `word` is what stands there, up to a blank or full stop.
bool TakeWord(std::string_view* text, std::string_view word) {
  if (!text->starts_with(word)) return false;
  std::string_view rest = text->substr(word.size());
  if (!rest.starts_with(' ') && !rest.starts_with('.')) return false;
  *text = rest;
  return true;
}

bool ParseClause(std::string_view line, Clause* clause, std::string* reason) {
  line.remove_prefix(kClauseStart.size());
  const size_t end = line.find(kClauseIdEnd);
  if (end == std::string_view::npos) {
    *reason = "no \"]** \" behind the clause id";
    return false;
  }
  clause->id = line.substr(0, end);
  if (!IsClauseId(clause->id)) {
    *reason = fmt::format("\"{}\" is no clause id such as ATT-05", clause->id);
    return false;
  }
  line.remove_prefix(end + kClauseIdEnd.size());

  static constexpr std::pair<std::string_view, Level> kLevels[] = {
      {"MUST", Level::kMust}, {"SHOULD", Level::kShould}, {"MAY", Level::kMay}};
  clause->level = Level::kLimit;
  for (const auto& [word, level] : kLevels) {
    if (TakeWord(&line, word)) clause->level = level;
  }
  if (clause->level == Level::kLimit) {
    // Only the limits of a host stand without a level; elsewhere it was forgotten.
    if (clause->family() != "LIM") {
      *reason = clause->id + " has no level (MUST, SHOULD or MAY)";
      return false;
    }
  } else {
    const size_t stop = line.find(". ");
    if (stop > 1 + std::string_view("ruling").size()) {  // or npos
      *reason = clause->id + " has no \"KIND. \" or \". \" behind its level";
      return false;
    }
    if (stop > 0) clause->kind = line.substr(1, stop - 1);
    line.remove_prefix(stop + 2);
  }
  clause->text = line;
  if (clause->text.empty()) *reason = clause->id + " has no text";
  return !clause->text.empty();
}

bool ParseChapter(std::string_view line, Chapter* chapter, std::string* reason) {
  line.remove_prefix(kChapterStart.size());
  const auto [end, error] =
      std::from_chars(line.data(), line.data() + line.size(), chapter->number);
  line.remove_prefix(end - line.data());
  if (error != std::errc() || !line.starts_with(". ") || line.size() < 3) {
    *reason = "a chapter heading reads \"## NUMBER. TITLE\"";
    return false;
  }
  chapter->title = line.substr(2);
  return true;
}

}  // namespace

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kMust:
      return "MUST";
    case Level::kShould:
      return "SHOULD";
    case Level::kMay:
      return "MAY";
    case Level::kLimit:
      break;
  }
  return "LIMIT";
}

std::optional<ClauseTable> ClauseTable::Parse(std::string_view text, std::string* error) {
  ClauseTable table;
  std::string reason;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;

    Clause clause;
    Chapter chapter;
    if (line.starts_with(kChapterStart)) {
      if (ParseChapter(line, &chapter, &reason)) table.chapters_.push_back(chapter);
    } else if (line.starts_with(kClauseStart)) {
      if (table.chapters_.empty()) {
        reason = "a clause before the first chapter";
      } else if (ParseClause(line, &clause, &reason)) {
        clause.chapter = table.chapters_.back().number;
        if (table.Find(clause.id) != nullptr) reason = clause.id + " was there before";
        table.clauses_.push_back(std::move(clause));
      }
    } else if (line.find("**[") != std::string_view::npos) {
      reason = "this looks like a clause but does not begin with \"- **[\"";
    }
    if (!reason.empty()) {
      *error = fmt::format("specification, line {}: {}", number, reason);
      return std::nullopt;
    }
  }
  if (table.clauses_.empty()) {
    *error = "specification: it holds no clause";
    return std::nullopt;
  }
  return table;
}

const ClauseTable& ClauseTable::BuiltIn() {
  static const ClauseTable* const table = [] {
    std::string error;
    std::optional<ClauseTable> parsed = Parse(kSpecText, &error);
    if (!parsed) {
      // Cannot happen in a tested build: clause_table_test parses the same text.
      fmt::print(stderr, "utrace: the built-in {}\n", error);
      std::abort();
    }
    return new ClauseTable(*std::move(parsed));
  }();
  return *table;
}

const Clause* ClauseTable::Find(std::string_view id) const {
  const auto found = std::find_if(clauses_.begin(), clauses_.end(),
                                  [&](const Clause& clause) { return clause.id == id; });
  return found == clauses_.end() ? nullptr : &*found;
}

const Chapter* ClauseTable::FindChapter(int number) const {
  const auto found = std::find_if(chapters_.begin(), chapters_.end(),
                                  [&](const Chapter& chapter) { return chapter.number == number; });
  return found == chapters_.end() ? nullptr : &*found;
}

bool ClauseTable::HasFamily(std::string_view family) const {
  return std::any_of(clauses_.begin(), clauses_.end(),
                     [&](const Clause& clause) { return clause.family() == family; });
}

}  // namespace utrace::certify
