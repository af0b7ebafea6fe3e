// An engine that records what passes between it and the core as a history, for the judge.
#ifndef STRESS_ENGINES_HISTORY_ENGINE_H_
#define STRESS_ENGINES_HISTORY_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "conformance/history/judge.h"
#include "core/engine.h"

namespace utrace::stress {

// The history of several engines on one task, judged as it grows. Any thread.
class JudgedHistory {
 public:
  // Around a call or callback; its result comes with the end.
  uint64_t Begin(history::Edge edge) {
    const std::lock_guard lock(mutex_);
    edge.id = ++last_id_;
    edge.begins = true;
    edge.task = 1;
    Take(edge);
    return edge.id;
  }
  // `engine`: the new one, of a successful attach.
  void End(uint64_t id, int64_t result, uint32_t engine = 0) {
    const std::lock_guard lock(mutex_);
    Take({.id = id, .engine = engine, .result = result});
  }
  uint32_t NewEngine() {
    const std::lock_guard lock(mutex_);
    return ++last_engine_;
  }

  // What is wrong; empty if nothing is.
  std::string Verdict() const {
    const std::lock_guard lock(mutex_);
    std::string text = judge_.error();
    for (const history::Breach& breach : judge_.breaches()) text += Describe(breach);
    return text;
  }
  uint64_t callbacks() const {
    const std::lock_guard lock(mutex_);
    return judge_.callback_count();
  }
  size_t engines() const {
    const std::lock_guard lock(mutex_);
    return judge_.engine_count();
  }

 private:
  void Take(history::Edge edge) {
    edge.line = ++lines_;
    judge_.Take(edge);
  }

  mutable std::mutex mutex_;
  history::Judge judge_;
  uint64_t last_id_ = 0;
  uint64_t lines_ = 0;
  uint32_t last_engine_ = 0;
};

// Attached to one task, once.
class HistoryEngine final : public Engine {
 public:
  static constexpr Events kEvents = Events::kSyscall | Events::kSignalAll;

  // Told of each call that is entered, by number and first arguments.
  using Entered = std::function<void(long number, uint64_t first, uint64_t second)>;
  explicit HistoryEngine(JudgedHistory& history, Entered entered = {})
      : history_(history), entered_(std::move(entered)), number_(history.NewEngine()) {}

  // Whether it could be attached.
  static bool Attach(TaskView task, const std::shared_ptr<HistoryEngine>& engine) {
    JudgedHistory& history = engine->history_;
    const uint64_t attach = history.Begin({.what = history::What::kAttach});
    Result<Attachment> attached = Attachment::Attach(task, engine, Events::kNone);
    history.End(attach, attached.code(), attached ? engine->number_ : 0);
    if (!attached) return false;
    engine->attachment_ = *std::move(attached);
    const uint64_t set = history.Begin(
        {.what = history::What::kSetEvents, .engine = engine->number_, .events = kEvents.bits()});
    const Status status = engine->attachment_.SetEvents(kEvents);
    history.End(set, status.code());
    return status.ok();
  }
  // No callback comes any more.
  void Detach() {
    const uint64_t control = history_.Begin({.what = history::What::kControl,
                                             .engine = number_,
                                             .action = UTRACE_DETACH,
                                             .acts = true});
    history_.End(control, attachment_.Control(Action::kDetach).code());
    const uint64_t barrier = history_.Begin({.what = history::What::kBarrier, .engine = number_});
    history_.End(barrier, attachment_.Barrier().code());
    attachment_.Leave();
  }

  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    const uint64_t id = Callback(history::What::kSyscallEntry, call.so_far());
    if (entered_ && !call.repeated()) entered_(call.number(), call.argument(0), call.argument(1));
    history_.End(id, UTRACE_RESUME);
    return Action::kResume;
  }
  Action OnSyscallExit(SyscallExit& call) override {
    history_.End(Callback(history::What::kSyscallExit, call.so_far()), UTRACE_RESUME);
    return Action::kResume;
  }
  SignalResult OnSignal(SignalReport& report) override {
    history::Edge edge{.what = history::What::kSignal, .engine = number_};
    edge.dequeued = report.is_signal();
    edge.signal = report.info().si_signo;
    const uint64_t id = history_.Begin(edge);
    history_.End(id, static_cast<uint32_t>(report.signal_so_far()) | UTRACE_RESUME);
    return Action::kResume;
  }

 private:
  uint64_t Callback(history::What what, Action so_far) {
    return history_.Begin(
        {.what = what, .engine = number_, .action = static_cast<uint32_t>(so_far), .acts = true});
  }

  JudgedHistory& history_;
  const Entered entered_;
  const uint32_t number_;
  Attachment attachment_;
};

}  // namespace utrace::stress

#endif  // STRESS_ENGINES_HISTORY_ENGINE_H_
