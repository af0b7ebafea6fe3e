// Depth-first search over the choices of a program, each run repeating the beginning of the one
// before and differing from it in the last choice that has an alternative left.
#include <string>
#include <vector>

#include "core/model/strategies.h"

namespace utrace::model {
namespace {

class Exhaustive final : public Strategy {
 public:
  explicit Exhaustive(uint64_t bound) : bound_(bound) {}

  FiberId Choose(const Decision& decision) override {
    if (!decision.explored) return DefaultChoice(decision);
    if (decision.current_runnable && preemptions_ >= bound_) return decision.current;
    if (depth_ == path_.size()) {
      Extend(decision);
    } else if (!Repeats(path_[depth_], decision)) {
      divergence_ = "point " + std::to_string(decision.step) +
                    " of a run is not what it was before, though all choices up to it were the "
                    "same: the code under test must depend on nothing but the schedule";
      return kNobody;
    }
    const Branch& branch = path_[depth_++];
    const FiberId choice = options_[branch.chosen];
    if (decision.current_runnable && choice != decision.current) ++preemptions_;
    return choice;
  }

  bool BeginRun() override {
    depth_ = 0;
    preemptions_ = 0;
    if (!begun_) {
      begun_ = true;
      return true;
    }
    while (!path_.empty() && path_.back().chosen + 1 == path_.back().end) {
      options_.resize(path_.back().begin);
      path_.pop_back();
    }
    if (path_.empty()) return false;
    ++path_.back().chosen;
    return true;
  }

  std::string EndRun(uint64_t steps) override {
    if (depth_ == path_.size()) return {};
    return "the run ended after " + std::to_string(steps) + " points, before point " +
           std::to_string(path_[depth_].step) +
           " at which an earlier run with the same choices had one";
  }

  std::string Divergence() const override { return divergence_; }

 private:
  // A point with more than one way to go on; its options are options_[begin, end), the default first.
  struct Branch {
    uint64_t step;
    FiberId current;
    size_t begin;
    size_t chosen;
    size_t end;
  };

  void Extend(const Decision& decision) {
    const FiberId first = DefaultChoice(decision);
    const size_t begin = options_.size();
    options_.push_back(first);
    for (const FiberId id : decision.runnable) {
      if (id != first) options_.push_back(id);
    }
    path_.push_back({decision.step, decision.current, begin, begin, options_.size()});
  }

  bool Repeats(const Branch& branch, const Decision& decision) const {
    if (branch.step != decision.step || branch.current != decision.current) return false;
    if (branch.end - branch.begin != decision.runnable.size()) return false;
    const FiberId first = DefaultChoice(decision);
    if (options_[branch.begin] != first) return false;
    size_t i = branch.begin + 1;
    for (const FiberId id : decision.runnable) {
      if (id != first && options_[i++] != id) return false;
    }
    return true;
  }

  const uint64_t bound_;
  std::vector<Branch> path_;
  std::vector<FiberId> options_;
  size_t depth_ = 0;  // branches that this run has passed
  uint64_t preemptions_ = 0;
  bool begun_ = false;
  std::string divergence_;
};

}  // namespace

std::unique_ptr<Strategy> MakeExhaustive(uint64_t bound) {
  return std::make_unique<Exhaustive>(bound);
}

}  // namespace utrace::model
