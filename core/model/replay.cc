#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/model/strategies.h"

namespace utrace::model {
namespace {

using Choices = std::vector<std::pair<uint64_t, FiberId>>;  // step, fiber

class Replay final : public Strategy {
 public:
  explicit Replay(Choices choices) : choices_(std::move(choices)) {}

  FiberId Choose(const Decision& decision) override {
    if (next_ == choices_.size() || decision.step < choices_[next_].first) {
      return DefaultChoice(decision);
    }
    const auto [step, choice] = choices_[next_];
    if (step == decision.step && std::find(decision.runnable.begin(), decision.runnable.end(),
                                           choice) != decision.runnable.end()) {
      ++next_;
      return choice;
    }
    divergence_ = Unfollowed();
    return kNobody;
  }
  bool BeginRun() override { return !std::exchange(begun_, true); }
  std::string EndRun(uint64_t) override {
    return next_ == choices_.size() ? std::string() : Unfollowed();
  }
  std::string Divergence() const override { return divergence_; }

 private:
  std::string Unfollowed() const {
    const auto [step, choice] = choices_[next_];
    return "the schedule says that fiber " + std::to_string(choice) + " goes on at point " +
           std::to_string(step) +
           ", which is not possible here: it belongs to another program or another version of it";
  }

  const Choices choices_;
  size_t next_ = 0;
  bool begun_ = false;
  std::string divergence_;
};

}  // namespace

std::unique_ptr<Strategy> MakeReplay(std::string_view text, std::string* error) {
  Choices choices;
  for (size_t begin = 0; begin < text.size() || (begin > 0 && begin == text.size());) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const size_t equals = item.find('=');
    uint64_t step = 0;
    uint64_t fiber = 0;
    if (equals == std::string_view::npos || !ParseNumber(item.substr(0, equals), &step) ||
        !ParseNumber(item.substr(equals + 1), &fiber) || fiber >= kNobody) {
      *error = "'" + std::string(item) + "' in 'replay:" + std::string(text) +
               "' is no choice; it must be STEP=FIBER, both decimal numbers";
      return nullptr;
    }
    if (!choices.empty() && step <= choices.back().first) {
      *error = "the steps in 'replay:" + std::string(text) + "' must ascend, and " +
               std::to_string(step) + " does not";
      return nullptr;
    }
    choices.emplace_back(step, static_cast<FiberId>(fiber));
    begin = end + 1;
  }
  return std::make_unique<Replay>(std::move(choices));
}

}  // namespace utrace::model
