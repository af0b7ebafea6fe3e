// Strategies by name.
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "core/model/strategies.h"

namespace utrace::model {

FiberId DefaultChoice(const Strategy::Decision& decision) {
  if (decision.current_runnable) return decision.current;
  return decision.runnable.front();
}

bool ParseNumber(std::string_view text, uint64_t* number) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && rest == end;
}

std::unique_ptr<Strategy> MakeStrategy(std::string_view text, std::string* error) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (kind == "replay" && colon != std::string_view::npos) return MakeReplay(rest, error);

  std::vector<uint64_t> numbers;
  bool well_formed = colon != std::string_view::npos;
  for (size_t begin = 0; well_formed && begin <= rest.size();) {
    const size_t end = std::min(rest.find(':', begin), rest.size());
    uint64_t number = 0;
    well_formed = ParseNumber(rest.substr(begin, end - begin), &number);
    numbers.push_back(number);
    begin = end + 1;
  }
  if (well_formed && kind == "random" && numbers.size() == 1) return MakeRandom(numbers[0]);
  if (well_formed && kind == "exhaustive" && numbers.size() == 1) return MakeExhaustive(numbers[0]);
  if (well_formed && kind == "pct" && (numbers.size() == 2 || numbers.size() == 3)) {
    constexpr uint64_t kUsualPoints = 1000;
    const uint64_t points = numbers.size() == 3 ? numbers[2] : kUsualPoints;
    if (numbers[1] >= 1 && points >= 1) return MakePct(numbers[0], numbers[1], points);
  }
  *error =
      "'" + std::string(text) +
      "' names no schedule; it must be random:SEED, pct:SEED:DEPTH[:POINTS] (both at least 1), "
      "exhaustive:BOUND or replay:STEP=FIBER,...";
  return nullptr;
}

}  // namespace utrace::model
