// The strategies by themselves; MakeStrategy (scheduler.h) is how they are had.
#ifndef CORE_MODEL_STRATEGIES_H_
#define CORE_MODEL_STRATEGIES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/scheduler.h"

namespace utrace::model {

std::unique_ptr<Strategy> MakeRandom(uint64_t seed);
std::unique_ptr<Strategy> MakePct(uint64_t seed, uint64_t depth, uint64_t points);
std::unique_ptr<Strategy> MakeExhaustive(uint64_t bound);
// `text` without "replay:". Null with *error set if malformed.
std::unique_ptr<Strategy> MakeReplay(std::string_view text, std::string* error);

// A decimal number that makes up all of `text`.
bool ParseNumber(std::string_view text, uint64_t* number);

// Numbers that look random and are the same everywhere (splitmix64).
class RandomNumbers {
 public:
  explicit RandomNumbers(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  // Below `limit`, which is small beside 2^64.
  uint64_t Below(uint64_t limit) { return Next() % limit; }

 private:
  uint64_t state_;
};

}  // namespace utrace::model

#endif  // CORE_MODEL_STRATEGIES_H_
