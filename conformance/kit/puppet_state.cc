// A puppet's signals, registers and memory, and what the kernel says about it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "conformance/kit/machine.h"
#include "conformance/kit/needs.h"
#include "conformance/kit/puppet.h"
#include "conformance/kit/puppet_host.h"
#include "conformance/kit/target.h"

namespace utrace::kit {

using puppet::Op;

// ---- Signals -----------------------------------------------------------------------------------

long PuppetThread::Sigaction(int signo, Disposition disposition, unsigned long flags,
                             uint64_t mask) {
  Send(UTRACE_TARGET_SIGACTION, 0, signo, static_cast<long>(disposition), static_cast<long>(flags),
       static_cast<long>(mask));
  return Finish();
}

long PuppetThread::Sigprocmask(int how, uint64_t mask) {
  memcpy(Scratch(), &mask, sizeof(mask));
  return Call(SYS_rt_sigprocmask, how, static_cast<long>(ScratchAddress()), 0, 8);
}

long PuppetThread::Raise(int signo) { return Call(SYS_tgkill, pid_, tid_, signo); }
void PuppetThread::BeginRaise(int signo) { Begin(SYS_tgkill, pid_, tid_, signo); }
long PuppetThread::KillSelf(int signo) { return Call(SYS_kill, pid_, signo); }

namespace {

siginfo_t QueueInfo(int signo, int value) {
  siginfo_t info = {};
  info.si_signo = signo;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = value;
  return info;
}

}  // namespace

long PuppetThread::Queue(int signo, int value) {
  siginfo_t info = QueueInfo(signo, value);
  info.si_pid = pid_;
  memcpy(Scratch(), &info, sizeof(info));
  return Call(SYS_rt_sigqueueinfo, pid_, signo, static_cast<long>(ScratchAddress()));
}

long PuppetThread::Sigaltstack() {
  Send(UTRACE_TARGET_ALT_STACK);
  return Finish();
}

void PuppetThread::BeginFault(Fault fault, uint64_t address) {
  // The puppet has these numbers.
  static_assert(static_cast<int>(Fault::kSegv) == 0 && static_cast<int>(Fault::kTrap) == 4 &&
                static_cast<int>(Fault::kAbort) == 5);
  Send(UTRACE_TARGET_FAULT, 0, static_cast<long>(fault), static_cast<long>(address));
}

std::vector<SignalRecord> PuppetThread::Signals() const {
  const uint64_t runs = HandlerRuns();
  const uint64_t first = runs > puppet::kRecords ? runs - puppet::kRecords : 0;
  std::vector<SignalRecord> records;
  for (uint64_t i = first; i < runs; ++i) {
    records.push_back(slot().records[i % puppet::kRecords]);
  }
  return records;
}

uint64_t PuppetThread::HandlerRuns() const {
  return __atomic_load_n(&slot().handler_runs, __ATOMIC_SEQ_CST);
}

uint64_t PuppetThread::HandlerRuns(int signo) const {
  return __atomic_load_n(&slot().handler_runs_of[signo], __ATOMIC_SEQ_CST);
}

bool PuppetThread::TryAwaitHandlerRuns(uint64_t count, std::chrono::milliseconds deadline) {
  SetStep("waiting for signal handlers of '" + name_ + "'");
  return PollUntil([&] { return HandlerRuns() >= count; }, deadline);
}

void PuppetThread::AwaitHandlerRuns(uint64_t count) {
  if (TryAwaitHandlerRuns(count)) return;
  StepFailed("'" + name_ + "' ran its signal handler " + std::to_string(HandlerRuns()) +
             " times, expected " + std::to_string(count));
}

namespace {

siginfo_t UserInfo(int signo, int code) {
  siginfo_t info = {};
  info.si_signo = signo;
  info.si_code = code;
  info.si_pid = getpid();
  info.si_uid = getuid();
  return info;
}

}  // namespace

void PuppetThread::SignalFromKit(const char* how, bool to_thread, const siginfo_t& info) {
  if (const char* need = NeedOfSignal(info.si_signo)) Needs(need);
  const long result = host().Signal({pid_, tid_}, to_thread, info);
  if (result != 0) Broken(std::string(how) + " '" + name_ + "': " + ErrnoName(result));
}

void PuppetThread::Kill(int signo) { SignalFromKit("kill", false, UserInfo(signo, SI_USER)); }
void PuppetThread::Tgkill(int signo) { SignalFromKit("tgkill", true, UserInfo(signo, SI_TKILL)); }

void PuppetThread::QueueFromKit(int signo, int value) {
  siginfo_t info = UserInfo(signo, SI_QUEUE);
  info.si_value.sival_int = value;
  SignalFromKit("sigqueue", false, info);
}

// ---- Registers and memory ----------------------------------------------------------------------

const Addresses& PuppetThread::addresses() const { return host().addresses(); }

void PuppetThread::BeginRegistersSpin(const RegisterImage& image) {
  const RegisterArea area = host().Registers();
  __atomic_store_n(area.go, 0, __ATOMIC_SEQ_CST);
  *area.in = image;
  Send(UTRACE_TARGET_REGISTERS_SPIN);
  AwaitStarted();
}

void PuppetThread::ReleaseRegisters() {
  __atomic_store_n(host().Registers().go, 1, __ATOMIC_SEQ_CST);
}

void PuppetThread::BeginRegistersSyscall(const RegisterImage& image) {
  *host().Registers().in = image;
  Send(UTRACE_TARGET_REGISTERS_SYSCALL);
  last_nr_ = static_cast<long>(image.general[ThisMachine().call_number]);
}

RegisterImage PuppetThread::FinishRegisters() {
  Finish();
  return *host().Registers().out;
}

void PuppetThread::BeginSteps() { Send(UTRACE_TARGET_STEPS); }
void PuppetThread::BeginBranches() { Send(UTRACE_TARGET_BRANCHES); }

std::string PuppetThread::PeekMemory(uint64_t address, size_t size) {
  if (size > puppet::kScratchSize) Broken("PeekMemory of more than the scratch memory holds");
  Send(UTRACE_TARGET_COPY, 0, static_cast<long>(ScratchAddress()), static_cast<long>(address),
       static_cast<long>(size));
  Finish();
  return std::string(static_cast<const char*>(Scratch()), size);
}

void PuppetThread::PokeMemory(uint64_t address, std::string_view bytes) {
  if (bytes.size() > puppet::kScratchSize) Broken("PokeMemory of more than the scratch holds");
  memcpy(Scratch(), bytes.data(), bytes.size());
  Send(UTRACE_TARGET_COPY, 0, static_cast<long>(address), static_cast<long>(ScratchAddress()),
       static_cast<long>(bytes.size()));
  Finish();
}

uint64_t PuppetThread::SharedAddress(const void* here) const {
  return host().SlotAddress(slot_) + static_cast<uint64_t>(static_cast<const char*>(here) -
                                                           reinterpret_cast<const char*>(&slot()));
}

uint64_t PuppetThread::ScratchAddress(size_t offset) const {
  return SharedAddress(slot().scratch + offset);
}

void* PuppetThread::Scratch(size_t offset) const { return slot().scratch + offset; }

// ---- What the host says about it ----------------------------------------------------------------

char PuppetThread::State() const { return host().State({pid_, tid_}); }

bool PuppetThread::Dead() const {
  const char state = State();
  return state == 'Z' || state == 'X' || state == '-';
}

// All waits below look again and again: the kernel tells nobody that a thread fell asleep, stopped
// or became a zombie under its tracer.
bool PuppetThread::TryAwaitState(char state, std::chrono::milliseconds deadline) {
  SetStep("waiting for state " + std::string(1, state) + " of '" + name_ + "'");
  return PollUntil([&] { return State() == state; }, deadline);
}

void PuppetThread::AwaitState(char state) {
  if (TryAwaitState(state)) return;
  StepFailed("'" + name_ + "' is in state " + State() + ", expected " + state);
}

bool PuppetThread::TryAwaitBlocked(long nr, std::chrono::milliseconds deadline) {
  const bool youngest = nr < 0;
  if (youngest) nr = last_nr_;
  SetStep("waiting until '" + name_ + "' sleeps in call " + std::to_string(nr));
  return PollUntil(
      [&] {
        if (youngest && __atomic_load_n(&slot().started, __ATOMIC_SEQ_CST) != seq_) return false;
        // D: the parent of a vfork child.
        const char state = State();
        if (state != 'S' && state != 'D') return false;
        return host().SleepsIn({pid_, tid_}, slot_, seq_, nr);
      },
      deadline);
}

void PuppetThread::AwaitBlocked(long nr) {
  if (TryAwaitBlocked(nr)) return;
  StepFailed("'" + name_ + "' does not sleep in call " + std::to_string(nr < 0 ? last_nr_ : nr) +
             " (state " + State() + ", " + host().Where({pid_, tid_}) + ")");
}

void PuppetThread::AwaitIdle() {
  SetStep("waiting until '" + name_ + "' is idle");
  const bool idle = PollUntil(
      [&] { return __atomic_load_n(&slot().done, __ATOMIC_SEQ_CST) == seq_ || seq_ == 0; });
  if (!idle) StepFailed("'" + name_ + "' does not finish its steps");
  AwaitBlocked(SYS_recvfrom);
}

bool PuppetThread::TryAwaitDeath(std::chrono::milliseconds deadline) {
  SetStep("waiting for the death of '" + name_ + "'");
  return PollUntil([&] { return Dead(); }, deadline);
}

void PuppetThread::AwaitDeath() {
  if (TryAwaitDeath()) return;
  StepFailed("'" + name_ + "' does not die (state " + State() + ")");
}

bool PuppetThread::TryAwaitGone(std::chrono::milliseconds deadline) {
  SetStep("waiting for the end of '" + name_ + "'");
  return PollUntil([&] { return State() == '-'; }, deadline);
}

ContextSwitches PuppetThread::Switches() const { return host().Switches({pid_, tid_}); }
pid_t PuppetThread::TracerPid() const { return host().TracerPid({pid_, tid_}); }

}  // namespace utrace::kit
