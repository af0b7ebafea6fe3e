// Commanding model threads from tests, through core/utrace_target.h as the conformance kit does.
#ifndef CORE_MODEL_KERNEL_WORLD_TESTING_H_
#define CORE_MODEL_KERNEL_WORLD_TESTING_H_

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cstring>
#include <functional>
#include <string>

#include "core/utrace_target.h"

namespace utrace::model {

// Runs `body` in a world of its own under `schedule`; the result of utrace_target_run.
inline int InWorld(const std::string& schedule, const std::function<void()>& body) {
  const std::function<void()> whole = [&body] {
    ASSERT_EQ(0, utrace_target_begin());
    body();
    utrace_target_end();
  };
  return utrace_target_run(
      schedule.c_str(),
      [](void* argument) { (*static_cast<const std::function<void()>*>(argument))(); },
      const_cast<std::function<void()>*>(&whole));
}

inline void WaitUntil(const std::function<bool()>& ready) {
  const int held = utrace_target_await(
      [](void* argument) {
        return (*static_cast<const std::function<bool()>*>(argument))() ? 1 : 0;
      },
      const_cast<std::function<bool()>*>(&ready), -1);
  ASSERT_EQ(1, held);
}

// The thread of one slot.
class Hand {
 public:
  explicit Hand(unsigned slot) : slot_(slot) {}

  // A new process in this slot, ready.
  void Spawn() {
    ASSERT_EQ(0, utrace_target_spawn(slot_));
    AwaitReady();
  }
  void AwaitReady() { EXPECT_EQ(0U, Reply().seq); }

  void Begin(uint32_t op, long number = 0, int64_t a0 = 0, int64_t a1 = 0, int64_t a2 = 0,
             int64_t a3 = 0, int64_t a4 = 0, int64_t a5 = 0) {
    const utrace_target_command command = {
        .op = op, .seq = ++seq_, .nr = number, .arguments = {a0, a1, a2, a3, a4, a5}};
    ASSERT_EQ(0, utrace_target_send(slot_, &command));
  }
  void BeginCall(long number, int64_t a0 = 0, int64_t a1 = 0, int64_t a2 = 0, int64_t a3 = 0) {
    Begin(UTRACE_TARGET_SYSCALL, number, a0, a1, a2, a3);
  }
  // A command that is never done is a deadlock of the run.
  int64_t Finish() {
    WaitUntil([this] { return slot().done == seq_; });
    const utrace_target_reply reply = Reply();
    EXPECT_EQ(seq_, reply.seq);
    return reply.result;
  }
  int64_t Call(long number, int64_t a0 = 0, int64_t a1 = 0, int64_t a2 = 0, int64_t a3 = 0) {
    BeginCall(number, a0, a1, a2, a3);
    return Finish();
  }
  int64_t Do(uint32_t op, long number = 0, int64_t a0 = 0, int64_t a1 = 0, int64_t a2 = 0,
             int64_t a3 = 0, int64_t a4 = 0, int64_t a5 = 0) {
    Begin(op, number, a0, a1, a2, a3, a4, a5);
    return Finish();
  }

  utrace_target_slot& slot() const { return *utrace_target_slot_memory(slot_); }
  unsigned index() const { return slot_; }
  pid_t tid() const { return slot().tid; }
  char State() const {
    const int state = utrace_target_state(tid());
    return state < 0 ? '-' : static_cast<char>(state);
  }
  void AwaitState(char state) {
    WaitUntil([this, state] { return State() == state; });
  }
  int64_t Scratch() const {
    return static_cast<int64_t>(utrace_target_slot_address(slot_) +
                                offsetof(utrace_target_slot, scratch));
  }
  // Sleeps in the call that it was told last.
  void AwaitBlocked() {
    WaitUntil([this] { return slot().started == seq_ && State() == 'S'; });
  }
  template <typename T>
  T Peek() const {
    T value;
    std::memcpy(&value, slot().scratch, sizeof(value));
    return value;
  }

 private:
  utrace_target_reply Reply() {
    utrace_target_reply reply{};
    const int64_t until = utrace_target_now() + 3600'000'000'000;
    // Whatever can happen now, happens; then time passes, up to the next deadline.
    for (;;) {
      utrace_target_settle(0);
      const int got = utrace_target_receive(slot_, &reply);
      EXPECT_GE(got, 0);
      if (got != 0) return reply;
      // Nothing more will come: the run is a deadlock.
      if (utrace_target_now() >= until) WaitUntil([] { return false; });
      utrace_target_settle(60'000'000'000);
    }
  }

  unsigned slot_;
  uint32_t seq_ = 0;
};

inline Hand Parent() {
  Hand hand(UTRACE_TARGET_PARENT);
  return hand;
}

// A signal from outside.
inline int Kill(pid_t pid, int signal, bool to_thread = false) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_USER;
  return utrace_target_kill(pid, to_thread ? 1 : 0, &info);
}

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_WORLD_TESTING_H_
