#include "conformance/kit/threads.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "conformance/kit/verdict.h"

namespace utrace::kit {
namespace {

constexpr int kInterrupt = SIGUSR1;

void InstallInterruptHandler() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    // No SA_RESTART: an interrupted wait must show.
    return sigaction(kInterrupt, &action, nullptr) == 0;
  }();
  if (!installed) Broken("cannot install the handler of the interrupting signal");
}

class OsThreads final : public Threads {
 public:
  ThreadId Self() const override { return static_cast<ThreadId>(syscall(SYS_gettid)); }

  void Start(const std::string&, std::function<void()> body) override {
    std::thread(std::move(body)).detach();
  }

  Look LookAt(ThreadId thread) override {
    Look look;
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("State:", 0) == 0 && line.size() > 7) look.state = line[7];
      if (line.rfind("voluntary_ctxt_switches:", 0) == 0) {
        look.switches = std::stol(line.substr(24));
      }
    }
    return look;
  }

  // The kernel tells nobody that a thread fell asleep, so it is looked at. It may sleep for a moment
  // on its way (a lock, an answer from another thread); a switch in between gives it away.
  int LooksOfTheBlocked() const override { return 41; }

  void Interrupt(ThreadId thread) override {
    InstallInterruptHandler();
    syscall(SYS_tgkill, getpid(), thread, kInterrupt);
  }

  bool Await(std::unique_lock<std::mutex>& lock, Condition& condition,
             const std::function<bool()>& ready, std::chrono::nanoseconds timeout) override {
    if (timeout == std::chrono::nanoseconds::max()) {
      condition.os().wait(lock, ready);
      return true;
    }
    return condition.os().wait_for(lock, timeout, ready);
  }

  void Yield() override { sched_yield(); }

  // At first only the processor is offered to others; what takes longer is looked at less often, so
  // that looking does not slow down what is waited for.
  void Pause(int round) override {
    if (round < 50) {
      sched_yield();
    } else {
      const timespec pause = {0, round < 500 ? 100000 : 1000000};
      nanosleep(&pause, nullptr);
    }
  }

  std::chrono::nanoseconds Now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }

  Ran Run(const std::string& schedule, const std::function<void()>& body) override {
    if (!schedule.empty()) {
      return {"the threads of the operating system follow no schedule (" + schedule + ")", ""};
    }
    body();
    return {};
  }
};

Threads*& Used() {
  static Threads* threads = new OsThreads;
  return threads;
}

}  // namespace

Threads& TheThreads() { return *Used(); }
void UseThreads(Threads* threads) { Used() = threads; }
void Yield() { TheThreads().Yield(); }

struct Thread::State {
  std::mutex mutex;
  Condition changed;
  bool ended = false;
};

Thread::Thread(std::function<void()> body, const std::string& name)
    : state_(std::make_shared<State>()) {
  TheThreads().Start(name, [state = state_, body = std::move(body)] {
    body();
    std::lock_guard lock(state->mutex);
    state->ended = true;
    state->changed.notify_all();
  });
}

Thread::~Thread() { Join(); }

void Thread::Join() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->ended; });
}

}  // namespace utrace::kit
