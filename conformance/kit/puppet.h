// Target processes whose every step is told by the test.
//
// A *puppet* is a process that does nothing but execute commands, one at a time per thread. It is
// not a child of this process but of the *nanny*, which is its real parent and waits for it as any
// parent would; this process, which hosts the implementation, only sends commands. With a hosted
// implementation puppets and nanny are tasks of it, driven by core/utrace_target.h; a command that its
// tasks cannot execute ends the test as NOT APPLICABLE.
//
// Results of system calls are raw: a negative errno on failure.
//
// Every wait has a deadline (verdict.h). When it passes, or when the puppet dies where it should
// not, StepFailed ends the test and names the step.
//
// System calls of its own that a puppet makes between steps: recvfrom (waits for a command) and
// sendto (acknowledges it); IsChannelCall tells them. A freshly created thread or process or a new
// program makes only those too, except that a new program (Exec) maps its shared memory first, and
// timed calls are surrounded by clock_gettime. Everything else a puppet reports is its test's.
#ifndef CONFORMANCE_KIT_PUPPET_H_
#define CONFORMANCE_KIT_PUPPET_H_

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/kit/verdict.h"
#include "conformance/puppet/protocol.h"

namespace utrace::kit {

class Nanny;
class Puppet;
class PuppetHost;

using puppet::Addresses;      // labelled instructions and buffers, see protocol.h
using puppet::RegisterImage;  // general and vector registers, see protocol.h
using puppet::SignalRecord;   // what a handler saw, see protocol.h

// Whether `nr` is one of the calls by which puppets talk to the kit.
bool IsChannelCall(long nr);

enum class Disposition { kDefault, kIgnore, kHandler };

enum class Fault {
  kSegv,   // writes to a given address
  kIll,    // an undefined instruction
  kFpe,    // an integer division by zero
  kBus,    // a mapping beyond the end of its file
  kTrap,   // a breakpoint instruction
  kAbort,  // SIGABRT to itself
};

// Calls that take a timeout, made with a known one.
enum class Timed {
  kNanosleep,
  kClockNanosleep,          // CLOCK_MONOTONIC, relative
  kClockNanosleepAbsolute,  // CLOCK_MONOTONIC, TIMER_ABSTIME
  kPoll,
  kPpoll,
  kSelect,
  kPselect,
  kEpollWait,
  kFutexWait,        // relative timeout
  kFutexWaitBitset,  // absolute timeout
  kRead,             // no timeout: ended by Feed
  kPause,            // no timeout: ended by a signal
};
struct TimedResult {
  long result = 0;           // raw
  int64_t elapsed_ns = 0;    // around the call, by the puppet's clock; since Begin if absolute
  int64_t remaining_ns = 0;  // what the call left in its timeout argument; -1: it leaves none
};
// The result that `call` has when its time is over undisturbed: 0, or -ETIMEDOUT for futexes.
long TimedOutResult(Timed call);
// The number of the system call that `call` makes.
long TimedNumber(Timed call);
// Of fork (with SIGCHLD as its argument) and of pause, or of calls that do the same where a machine has none.
long ForkNumber();
long PauseNumber();

struct ContextSwitches {
  long voluntary = 0;
  long involuntary = 0;
};

// One commanded thread. Owned by its Nanny.
class PuppetThread {
 public:
  virtual ~PuppetThread();
  PuppetThread(const PuppetThread&) = delete;
  PuppetThread& operator=(const PuppetThread&) = delete;

  // Ids as the thread itself said them when it became ready, or after exec.
  pid_t tid() const { return tid_; }
  pid_t pid() const { return pid_; }
  const std::string& name() const { return name_; }

  // ---- System calls

  // Makes the call and waits for its result.
  long Call(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0);
  // Sends the command and does not wait. Commands queue up; Finish collects one result, in order.
  void Begin(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0);
  long Finish();
  // Whether the oldest begun command was acknowledged by now; Finish then returns at once.
  bool Finished();
  // Finish with failure told by false (deadline, or the thread died).
  bool TryFinish(long* result, std::chrono::milliseconds deadline = Deadline());
  // Waits until the thread began to execute the youngest command sent.
  void AwaitStarted();
  // Forgets commands that will never be acknowledged (the thread was killed).
  void ForgetPending();

  // The same call `count` times in a row, nothing in between; the last result.
  long Repeat(long nr, long count, long a0 = 0, long a1 = 0, long a2 = 0);
  void BeginRepeat(long nr, long count, long a0 = 0, long a1 = 0, long a2 = 0);

  // ---- Blocking and spinning

  // read of one byte up to 64 from a pipe that only Feed writes. Finish gives the result of read.
  void BeginRead();
  void Feed(std::string_view bytes = "x");

  // Runs in user mode, making no system call, until StopSpin. Finish gives the number of rounds.
  void BeginSpin();
  void StopSpin();
  uint64_t SpinCount() const;
  // Waits until the count moves: the thread runs user code.
  void AwaitSpinning();

  // A timed call and its own account of it.
  void BeginTimed(Timed call, std::chrono::milliseconds timeout);
  TimedResult FinishTimed();

  // ---- New threads, processes, programs

  // The Begin forms return the child's object at once; its ids are known after AwaitReady. The
  // parent's Finish gives the raw result (the child's id).
  PuppetThread& SpawnThread();
  PuppetThread& BeginSpawnThread();
  Puppet& Fork();
  Puppet& BeginFork();
  // The parent stays blocked until the child exits or executes; collect with Finish().
  Puppet& Vfork();
  Puppet& BeginVfork();
  // clone with these flags; the low byte is the exit signal. With CLONE_THREAD use SpawnThread.
  Puppet& Clone(unsigned long flags);
  Puppet& BeginClone(unsigned long flags);
  // Waits until this new thread is there and takes commands; learns its ids.
  void AwaitReady();
  bool TryAwaitReady(std::chrono::milliseconds deadline = Deadline());

  // `count` children that exit at once with status 0, each waited for by this thread; or threads.
  long ForkBurst(long count);
  void BeginForkBurst(long count);
  long ThreadBurst(long count);
  void BeginThreadBurst(long count);

  // Executes the puppet program anew. The thread keeps its channel, the process its shared memory;
  // all other threads are gone. Exec waits until the new program is ready and learns its ids (a
  // non-leader gets the leader's). After BeginExec call FinishExec.
  void Exec();
  void BeginExec();
  void FinishExec();
  // execve of a file that is not there; the raw error.
  long FailingExec();

  // exit or exit_group, without waiting (AwaitDeath does).
  void BeginExit(int code = 0);
  void BeginExitGroup(int code = 0);

  // ---- Signals, from within

  long Sigaction(int signo, Disposition disposition, unsigned long flags = 0, uint64_t mask = 0);
  // rt_sigprocmask; bit N-1 of `mask` is signal N. Returns the result.
  long Sigprocmask(int how, uint64_t mask);
  long Raise(int signo);  // tgkill to itself
  void BeginRaise(int signo);
  long KillSelf(int signo);          // kill to its process
  long Queue(int signo, int value);  // rt_sigqueueinfo to its process
  long Sigaltstack();                // installs the thread's alternate stack
  void BeginFault(Fault fault, uint64_t address = 0);

  // What this thread's handlers recorded, oldest first (the last 32).
  std::vector<SignalRecord> Signals() const;
  // How often this thread's handlers ran, in all or for one signal.
  uint64_t HandlerRuns() const;
  uint64_t HandlerRuns(int signo) const;
  void AwaitHandlerRuns(uint64_t count);
  bool TryAwaitHandlerRuns(uint64_t count, std::chrono::milliseconds deadline = Deadline());

  // ---- Signals, from outside

  void Kill(int signo);                     // kill to its process
  void Tgkill(int signo);                   // to this thread
  void QueueFromKit(int signo, int value);  // sigqueue to its process

  // ---- Machine state

  // Where the labelled instructions and buffers of every puppet are.
  const Addresses& addresses() const;
  // Loads all registers with `image`, then spins in user mode at addresses().registers_spin until
  // ReleaseRegisters; FinishRegisters gives what the registers were then. rsp is not loaded.
  // One thread of a Nanny at a time.
  void BeginRegistersSpin(const RegisterImage& image);
  void ReleaseRegisters();
  // The same around one `syscall` instruction made with exactly these registers.
  void BeginRegistersSyscall(const RegisterImage& image);
  RegisterImage FinishRegisters();

  // getppid immediately followed by straight-line instructions, see protocol.h (Addresses::step).
  // Finish gives the number of instructions that counted, kStepResult if all ran once.
  void BeginSteps();
  // getppid followed by taken branches (Addresses::branch); Finish gives kBranchResult.
  void BeginBranches();

  // Private memory of the puppet by its own loads and stores.
  std::string PeekMemory(uint64_t address, size_t size);
  void PokeMemory(uint64_t address, std::string_view bytes);
  // Memory that kit and puppet share: argument blocks for Call. Offset 0 to kScratchSize.
  uint64_t ScratchAddress(size_t offset = 0) const;
  void* Scratch(size_t offset = 0) const;

  // ---- What its host (the kernel, if it is live) says about it

  // The state letter of /proc: R S D T t Z X; '-' once it is gone.
  char State() const;
  void AwaitState(char state);
  bool TryAwaitState(char state, std::chrono::milliseconds deadline = Deadline());
  // Waits until the thread sleeps inside system call `nr` (-1: the youngest one begun by Begin,
  // BeginRead or BeginTimed). /proc shows the call only to those who may trace the puppet.
  void AwaitBlocked(long nr = -1);
  bool TryAwaitBlocked(long nr = -1, std::chrono::milliseconds deadline = Deadline());
  // Waits until the thread is idle: asleep, waiting for its next command.
  void AwaitIdle();
  // A zombie or gone; gone altogether.
  bool Dead() const;
  void AwaitDeath();
  bool TryAwaitDeath(std::chrono::milliseconds deadline = Deadline());
  bool TryAwaitGone(std::chrono::milliseconds deadline = Deadline());
  ContextSwitches Switches() const;  // needs "live"
  // The TracerPid line of its status; needs "live".
  pid_t TracerPid() const;

  Nanny& nanny() const { return *nanny_; }

 protected:
  friend class Nanny;
  PuppetThread(Nanny* nanny, int slot, std::string name, bool process);

  void Send(puppet::Op op, long nr = 0, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0,
            long a4 = 0, long a5 = 0);
  bool Receive(puppet::Reply* reply, std::chrono::milliseconds deadline);
  PuppetThread* NewChild(const char* kind, bool process);
  uint64_t SharedAddress(const void* here) const;
  void SignalFromKit(const char* how, bool to_thread, const siginfo_t& info);
  PuppetHost& host() const;
  utrace_target_slot& slot() const;

  struct Pending {
    uint32_t seq;
    long nr;  // -1: no single system call
    std::string step;
  };

  Nanny* nanny_;
  int slot_;
  std::string name_;
  bool process_;
  pid_t tid_ = 0;
  pid_t pid_ = 0;
  uint32_t seq_ = 0;
  std::vector<Pending> pending_;
  std::vector<puppet::Reply> early_;
  long last_nr_ = -1;
  Timed timed_ = Timed::kPause;
  int64_t timed_from_ns_ = 0;
  puppet::Reply last_reply_ = {};
  bool ready_ = false;
};

// A process; as a thread, its leader.
class Puppet : public PuppetThread {
 public:
  // Kills the whole process and waits until its leader is dead (not reaped).
  void Destroy();

 private:
  friend class Nanny;
  friend class PuppetThread;
  using PuppetThread::PuppetThread;
};

struct WaitResult {
  long result = 0;  // the pid, 0, or a negative errno
  int status = 0;   // raw wait status
};
struct WaitIdResult {
  long result = 0;  // 0 or a negative errno
  siginfo_t info = {};
};

// The real parent of puppets. Its process ends, and all puppets with it, when the object goes away
// or the kit dies, however it dies.
class Nanny {
 public:
  Nanny();
  ~Nanny();
  Nanny(const Nanny&) = delete;
  Nanny& operator=(const Nanny&) = delete;

  // A new puppet process, ready, in a process group of its own (job control stops work).
  Puppet& Spawn(std::string name = "puppet");

  // wait4 by the real parent. It blocks like any parent's; meanwhile Spawn still works.
  WaitResult Wait(pid_t pid, int options = 0);
  void BeginWait(pid_t pid, int options = 0);
  WaitResult FinishWait();
  bool WaitFinished();
  bool TryFinishWait(WaitResult* result, std::chrono::milliseconds deadline = Deadline());
  // Waits until the begun wait sleeps in the kernel.
  void AwaitWaitBlocked();
  // waitid with these options (WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT).
  WaitIdResult WaitId(pid_t pid, int options);
  // Whether a wait for the death of `pid` would return now; takes nothing away.
  bool HasZombie(pid_t pid);
  // SIG_IGN for SIGCHLD: children reap themselves. False: default again.
  void IgnoreChildren(bool ignore);
  // How many SIGCHLD for this child's changes the nanny was sent is not counted; use WaitId.

  pid_t pid() const;
  // The thread that is the parent of all puppets (children of CLONE_PARENT puppets too).
  PuppetThread& parent();

  // Ends everything now and waits for the nanny; the destructor does it otherwise.
  void Shutdown();

 private:
  friend class PuppetThread;
  struct State;
  std::unique_ptr<State> state_;
};

// Where the puppet program is: $UTRACE_PUPPET, else beside or near this program.
std::string PuppetPath();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_PUPPET_H_
