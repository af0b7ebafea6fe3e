// Probabilistic concurrency testing: a fault that needs DEPTH ordering constraints, in a program of k
// points and n fibers, is met with a probability of at least 1 / (n * k^(DEPTH-1)) by one run.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/model/strategies.h"

namespace utrace::model {
namespace {

class Pct final : public Strategy {
 public:
  Pct(uint64_t seed, uint64_t depth, uint64_t points) : depth_(depth), numbers_(seed) {
    for (uint64_t i = 1; i < depth; ++i) changes_.push_back(numbers_.Below(points));
    std::sort(changes_.begin(), changes_.end());
  }

  FiberId Choose(const Decision& decision) override {
    while (next_change_ < changes_.size() && changes_[next_change_] <= decision.step) {
      // Below all that fibers begin with, and below the changes before.
      PriorityOf(decision.current) = static_cast<int64_t>(changes_.size() - next_change_);
      ++next_change_;
    }
    FiberId best = decision.runnable.front();
    for (const FiberId id : decision.runnable) {
      if (PriorityOf(id) > PriorityOf(best)) best = id;
    }
    return best;
  }
  bool BeginRun() override { return !std::exchange(begun_, true); }

 private:
  int64_t& PriorityOf(FiberId id) {
    while (priorities_.size() <= id) {
      const auto random = static_cast<int64_t>(numbers_.Next() >> 2);
      priorities_.push_back(random + static_cast<int64_t>(depth_));
    }
    return priorities_[id];
  }

  const uint64_t depth_;
  RandomNumbers numbers_;
  std::vector<uint64_t> changes_;  // steps
  size_t next_change_ = 0;
  std::vector<int64_t> priorities_;  // by fiber
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Strategy> MakePct(uint64_t seed, uint64_t depth, uint64_t points) {
  return std::make_unique<Pct>(seed, depth, points);
}

}  // namespace utrace::model
