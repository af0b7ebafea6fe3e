// The clauses of docs/spec.md: what a certificate says was required.
//
// The table is parsed from the specification itself, so the two cannot drift apart. The parser is
// strict: a clause that it silently overlooked would be a clause that nobody certifies.
#ifndef CONFORMANCE_CERTIFY_CLAUSE_TABLE_H_
#define CONFORMANCE_CERTIFY_CLAUSE_TABLE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace utrace::certify {

enum class Level {
  kMust,    // certified
  kShould,  // reported, fails no certificate
  kMay,     // freedom that tests allow
  kLimit,   // something a host may declare (chapter 22); the text bears no level
};

std::string_view LevelName(Level level);

// Whether a failed test of such a clause fails the run.
inline bool IsCertified(Level level) { return level == Level::kMust || level == Level::kLimit; }

struct Clause {
  std::string id;    // "ATT-05"
  std::string kind;  // "doc", "impl", "ruling", or empty where the text names none
  std::string text;  // one paragraph, without the id, level and kind
  Level level = Level::kMust;
  int chapter = 0;

  // "ATT" of "ATT-05".
  std::string_view family() const { return std::string_view(id).substr(0, id.find('-')); }
};

struct Chapter {
  int number = 0;
  std::string title;
};

class ClauseTable {
 public:
  // Reads the specification `text`. On a malformed clause, a clause outside any chapter, a repeated
  // id or a text without clauses: nullopt, and *error names line and reason.
  static std::optional<ClauseTable> Parse(std::string_view text, std::string* error);

  // The table of the specification that this program was built with.
  static const ClauseTable& BuiltIn();

  // Null if there is no such clause or chapter.
  const Clause* Find(std::string_view id) const;
  const Chapter* FindChapter(int number) const;
  bool HasFamily(std::string_view family) const;

  // Both in the order of the text.
  std::span<const Clause> clauses() const { return clauses_; }
  std::span<const Chapter> chapters() const { return chapters_; }

 private:
  std::vector<Clause> clauses_;
  std::vector<Chapter> chapters_;
};

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_CLAUSE_TABLE_H_
