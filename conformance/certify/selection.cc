#include "conformance/certify/selection.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <set>
#include <utility>

namespace utrace::certify {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string Dashed(std::string_view text) {
  std::string dashed(text);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

// Levenshtein's distance: how many letters to change, add or take away.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row[b.size()];
}

// Ends a message about the unknown `entry`: the id nearest to it, if any is near.
std::string Suggestion(std::string_view entry, const std::vector<TestId>& tests,
                       const ClauseTable& table) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, entry.size() / 3) + 1;
  auto consider = [&](std::string_view candidate) {
    const size_t distance = EditDistance(Lower(Dashed(entry)), Lower(Dashed(candidate)));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  };
  if (entry.find('.') == std::string_view::npos) {
    for (const Clause& clause : table.clauses()) {
      consider(clause.family());
      consider(clause.id);
    }
  } else {
    for (const TestId& test : tests) consider(test.id);
  }
  if (!best.empty()) return fmt::format("; did you mean {}?", best);
  return "; it takes a clause (ATT-05), a family (ATT), a chapter (3) or a test (ATT_05.Name)";
}

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// What one entry of --only means. Empty fields match nothing.
struct Wanted {
  std::string test;
  std::string clause;
  std::string family;
  int chapter = 0;

  bool Holds(const TestId& candidate, const ClauseTable& table) const {
    const Clause* of = table.Find(candidate.clause);
    return candidate.id == test || candidate.clause == clause ||
           (of != nullptr && (of->family() == family || of->chapter == chapter));
  }
};

std::optional<Wanted> Understand(std::string_view entry, const std::vector<TestId>& tests,
                                 const ClauseTable& table) {
  Wanted wanted;
  if (IsNumber(entry)) {
    for (const Chapter& chapter : table.chapters()) {
      if (entry == std::to_string(chapter.number)) wanted.chapter = chapter.number;
    }
    if (wanted.chapter != 0) return wanted;
    return std::nullopt;
  }
  for (const Clause& clause : table.clauses()) {
    if (Lower(clause.id) == Lower(Dashed(entry))) wanted.clause = clause.id;
    if (Lower(clause.family()) == Lower(entry)) wanted.family = clause.family();
  }
  for (const TestId& test : tests) {
    if (Lower(Dashed(test.id)) == Lower(Dashed(entry))) wanted.test = test.id;
  }
  if (wanted.clause.empty() && wanted.family.empty() && wanted.test.empty()) return std::nullopt;
  return wanted;
}

}  // namespace

std::optional<std::vector<TestId>> ParseTestList(std::string_view list, const ClauseTable& table,
                                                 std::string* error) {
  std::vector<TestId> tests;
  std::set<std::string, std::less<>> seen;
  while (!list.empty()) {
    const size_t end = std::min(list.find('\n'), list.size());
    const std::string_view line = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (line.empty()) continue;

    const size_t dot = line.find('.');
    if (dot == std::string_view::npos || dot + 1 == line.size() ||
        line.find_first_of(" \t\r") != std::string_view::npos) {
      *error = fmt::format("\"{}\" is no test id such as ATT_05.Name", line);
      return std::nullopt;
    }
    TestId test{std::string(line), Dashed(line.substr(0, dot)), std::string(line.substr(dot + 1))};
    if (table.Find(test.clause) == nullptr) {
      *error = fmt::format("the test {} belongs to no clause: the specification has no {}", line,
                           test.clause);
      return std::nullopt;
    }
    if (!seen.insert(test.id).second) {
      *error = fmt::format("the test {} comes twice", line);
      return std::nullopt;
    }
    tests.push_back(std::move(test));
  }
  std::stable_sort(tests.begin(), tests.end(), [&](const TestId& a, const TestId& b) {
    return table.Find(a.clause) < table.Find(b.clause);
  });
  return tests;
}

std::optional<std::vector<TestId>> SelectTests(const std::vector<TestId>& tests,
                                               const std::vector<std::string>& only,
                                               const ClauseTable& table, std::string* error) {
  if (only.empty()) return tests;
  std::vector<Wanted> wishes;
  for (const std::string& entry : only) {
    const std::optional<Wanted> wanted = Understand(entry, tests, table);
    if (!wanted) {
      *error =
          fmt::format("--only: nothing is called \"{}\"{}", entry, Suggestion(entry, tests, table));
      return std::nullopt;
    }
    const bool any = std::any_of(tests.begin(), tests.end(),
                                 [&](const TestId& test) { return wanted->Holds(test, table); });
    if (!any) {
      *error = fmt::format("--only: the suite has no test for \"{}\" yet; leave it out", entry);
      return std::nullopt;
    }
    wishes.push_back(*wanted);
  }
  std::vector<TestId> chosen;
  std::copy_if(tests.begin(), tests.end(), std::back_inserter(chosen), [&](const TestId& test) {
    return std::any_of(wishes.begin(), wishes.end(),
                       [&](const Wanted& wanted) { return wanted.Holds(test, table); });
  });
  return chosen;
}

}  // namespace utrace::certify
