#include <utility>

#include "core/model/strategies.h"

namespace utrace::model {
namespace {

class Random final : public Strategy {
 public:
  explicit Random(uint64_t seed) : numbers_(seed) {}

  FiberId Choose(const Decision& decision) override {
    return decision.runnable[numbers_.Below(decision.runnable.size())];
  }
  bool BeginRun() override { return !std::exchange(begun_, true); }

 private:
  RandomNumbers numbers_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Strategy> MakeRandom(uint64_t seed) { return std::make_unique<Random>(seed); }

}  // namespace utrace::model
