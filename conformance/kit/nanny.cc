// What the real parent of puppets does: making them, waiting for them.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "conformance/kit/puppet.h"
#include "conformance/kit/puppet_host.h"
#include "conformance/kit/target.h"

namespace utrace::kit {

std::unique_ptr<PuppetHost> MakePuppetHost() {
  return TheTarget() == nullptr ? MakeLivePuppets() : MakeHostedPuppets();
}

int Nanny::State::TakeSlot() {
  if (next_slot >= puppet::kSlots) {
    Broken("a test can have " + std::to_string(puppet::kSlots - 2) + " puppet threads in all");
  }
  return next_slot++;
}

Nanny::Nanny() : state_(std::make_unique<State>()) {
  SetStep("starting the nanny");
  state_->host = MakePuppetHost();
  const auto own = [&](const char* name) {
    const int slot = state_->TakeSlot();
    state_->threads.emplace_back(new PuppetThread(this, slot, name, false));
    PuppetThread* thread = state_->threads.back().get();
    thread->pid_ = pid();
    return thread;
  };
  state_->parent = own("nanny's parent thread");
  state_->waiter = own("nanny's waiting thread");
  state_->parent->AwaitReady();
  state_->waiter->AwaitReady();
}

Nanny::~Nanny() { Shutdown(); }

void Nanny::Shutdown() {
  if (state_->host != nullptr) state_->host->End();
  state_->host.reset();
  state_->threads.clear();
}

Puppet& Nanny::Spawn(std::string name) {
  SetStep("spawning the puppet '" + name + "'");
  const int slot = state_->TakeSlot();
  auto* made = new Puppet(this, slot, std::move(name), true);
  state_->threads.emplace_back(made);
  if (!state_->host->Spawn(slot)) {
    state_->parent->Send(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, slot);
    const long pid = state_->parent->Finish();
    if (pid < 0) Broken("fork of a puppet gives " + ErrnoName(pid));
  }
  made->AwaitReady();
  return *made;
}

void Nanny::BeginWait(pid_t pid, int options) {
  // The status goes to the start of the scratch memory.
  memset(state_->waiter->Scratch(), 0, sizeof(int));
  state_->waiter->Begin(SYS_wait4, pid, static_cast<long>(state_->waiter->ScratchAddress()),
                        options, 0);
}

bool Nanny::TryFinishWait(WaitResult* result, std::chrono::milliseconds deadline) {
  if (!state_->waiter->TryFinish(&result->result, deadline)) return false;
  memcpy(&result->status, state_->waiter->Scratch(), sizeof(int));
  return true;
}

WaitResult Nanny::FinishWait() {
  WaitResult result;
  if (!TryFinishWait(&result)) StepFailed("the real parent's wait does not return");
  return result;
}

bool Nanny::WaitFinished() { return state_->waiter->Finished(); }

WaitResult Nanny::Wait(pid_t pid, int options) {
  BeginWait(pid, options);
  return FinishWait();
}

void Nanny::AwaitWaitBlocked() { state_->waiter->AwaitBlocked(SYS_wait4); }

WaitIdResult Nanny::WaitId(pid_t pid, int options) {
  WaitIdResult result;
  memset(state_->waiter->Scratch(), 0, sizeof(siginfo_t));
  result.result = state_->waiter->Call(
      SYS_waitid, P_PID, pid, static_cast<long>(state_->waiter->ScratchAddress()), options, 0);
  memcpy(&result.info, state_->waiter->Scratch(), sizeof(siginfo_t));
  return result;
}

bool Nanny::HasZombie(pid_t pid) {
  const WaitIdResult result = WaitId(pid, WEXITED | WNOHANG | WNOWAIT);
  return result.result == 0 && result.info.si_pid == pid;
}

void Nanny::IgnoreChildren(bool ignore) {
  const long result =
      state_->parent->Sigaction(SIGCHLD, ignore ? Disposition::kIgnore : Disposition::kDefault);
  if (result != 0) Broken("sigaction in the nanny gives " + ErrnoName(result));
}

pid_t Nanny::pid() const { return state_->host->ParentPid(); }
PuppetThread& Nanny::parent() { return *state_->parent; }

}  // namespace utrace::kit
