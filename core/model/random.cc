#include <string>
#include <utility>

#include "core/model/strategies.h"

namespace utrace::model {
namespace {

class Random final : public Strategy {
 public:
  explicit Random(uint64_t seed) : seed_(seed), numbers_(seed) {}

  FiberId Choose(const Decision& decision) override {
    return decision.runnable[numbers_.Below(decision.runnable.size())];
  }
  bool BeginRun() override { return !std::exchange(begun_, true); }
  std::string Name() const override { return "random:" + std::to_string(seed_); }

 private:
  const uint64_t seed_;
  RandomNumbers numbers_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Strategy> MakeRandom(uint64_t seed) { return std::make_unique<Random>(seed); }

}  // namespace utrace::model
