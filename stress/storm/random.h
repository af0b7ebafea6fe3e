// Small random numbers that a seed repeats.
#ifndef STRESS_STORM_RANDOM_H_
#define STRESS_STORM_RANDOM_H_

#include <cstdint>

namespace utrace::storm {

// splitmix64. One thread at a time.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // From 0 to `limit` - 1.
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace utrace::storm

#endif  // STRESS_STORM_RANDOM_H_
