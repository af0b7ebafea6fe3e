#include "engines/ptrace_compat/client/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/signals.h"

namespace utrace::ptrace_compat::client {

constinit thread_local Thread t_thread;

class Stops {
 public:
  static constexpr size_t kMost = 256;
  struct Entry {
    pid_t pid;
    wire::StopDetail detail;
  };
  // By the last bits of the number: of two that meet one is not known, and its requests go to the server.
  Entry& Of(pid_t pid) { return entries_[static_cast<size_t>(pid) % kMost]; }
  void Clear() {
    for (Entry& entry : entries_) entry.pid = 0;
  }

 private:
  Entry entries_[kMost];
};

namespace {

pthread_key_t g_key;
std::atomic<bool> g_has_key{false};

// Waits until what the thread traced is let go of, as it would be natively when the thread has ended.
void SayGoodbye(Thread& thread) {
  if (!thread.connection.Check()) return;
  if (Settle(thread) != 0) return;
  wire::PlainRequest request;
  request.header = {.op = wire::Op::kBye, .serial = thread.connection.NextSerial()};
  if (thread.connection.Send(&request, sizeof(request), nullptr, 0) == 0) {
    // Up to the end of the connection; until then the standing wait may be answered.
    wire::Reply reply;
    do {
      reply.serial = 0;
    } while (thread.connection.Await() == 0 &&
             Raw(SYS_recvfrom, thread.connection.fd(), reinterpret_cast<long>(&reply),
                 sizeof(reply), 0) > 0 &&
             thread.standing != 0 && reply.serial == thread.standing);
  }
  thread.connection.Close();
}

void AtThreadEnd(void*) {
  if (WhoseMemory() != Memory::kOurs) return;
  const SignalsBlocked blocked;
  Thread& thread = t_thread;
  SayGoodbye(thread);
  if (thread.stops != nullptr) munmap(thread.stops, sizeof(Stops));
  thread.stops = nullptr;
  thread.events.Free();
  thread.registered = false;
}

__attribute__((constructor)) void MakeKey() {
  g_has_key = pthread_key_create(&g_key, AtThreadEnd) == 0;
}

// For the thread that ends the program.
__attribute__((destructor)) void AtExit() {
  if (t_thread.connection.open()) AtThreadEnd(nullptr);
}

}  // namespace

int Connected(Thread& thread) {
  if (thread.connection.open()) {
    if (thread.connection.Check()) return Settle(thread);
    ForgetAllStops(thread);
  }
  thread.pending = 0;
  thread.standing = 0;
  const int status = thread.connection.Open(Connection::Enrol::kYes);
  thread.in_vain = status != 0;
  if (status != 0) return status;
  ForgetAllStops(thread);
  if (!thread.registered && g_has_key) {
    thread.registered = pthread_setspecific(g_key, &thread) == 0;
  }
  TellSigchldFlags(SigchldFlags());
  return 0;
}

void ChangeSigchldFlags() {
  if (WhoseMemory() != Memory::kOurs || !HasConnections()) return;
  Thread& thread = t_thread;
  const SignalsBlocked blocked;
  const uint64_t flags = SigchldFlags();
  if (!thread.connection.open() || Connected(thread) != 0) {
    TellSigchldFlags(flags);
    return;
  }
  wire::PlainRequest request;
  request.header = {.op = wire::Op::kSigchld, .serial = thread.connection.NextSerial()};
  request.value = flags;
  wire::Reply reply;
  if (thread.connection.Send(&request, sizeof(request), nullptr, 0) == 0) {
    // Without a server, nobody sends any.
    (void)Receive(thread, request.header.serial, &reply, nullptr, 0);
  }
}

int CheckWait(Thread& thread, const wire::Reply& reply, const wire::WaitReply& wait) {
  if (reply.error != 0) return 0;
  const bool whole = reply.size == sizeof(wait);
  if (whole && wait.outcome != wire::WaitOutcome::kEvent &&
      wait.outcome <= wire::WaitOutcome::kNoTracee) {
    return 0;
  }
  if (whole && wait.outcome == wire::WaitOutcome::kEvent && wait.pid > 0 && wait.tgid > 0 &&
      wait.detail.syscall_info_size <= sizeof(wait.detail.syscall_info)) {
    return 0;
  }
  return thread.connection.Refuse();
}

namespace {

// An answer to the standing wait.
int Keep(Thread& thread, const WaitAnswer& answer) {
  if (const int status = CheckWait(thread, answer.reply, answer.wait); status != 0) return status;
  if (answer.reply.error == 0 && answer.wait.outcome == wire::WaitOutcome::kEvent) {
    return thread.events.Add(answer.wait) ? 0 : -ENOMEM;
  }
  // The last.
  thread.standing = 0;
  thread.only_tracees = 0;
  return 0;
}

// Zero once one was taken; -EAGAIN there is none, -ENOTCONN as elsewhere.
int TakeOne(Thread& thread, int flags) {
  const bool waits = (flags & MSG_DONTWAIT) == 0;
  if (const int status = waits ? thread.connection.Await() : 0; status != 0) return status;
  WaitAnswer answer;
  const long received = Raw(SYS_recvfrom, thread.connection.fd(), reinterpret_cast<long>(&answer),
                            sizeof(answer), flags | MSG_TRUNC);
  if (received == -EAGAIN) return -EAGAIN;
  const int status =
      thread.connection.Judge(received, thread.standing, answer.reply, sizeof(answer.wait));
  return status != 0 ? status : Keep(thread, answer);
}

}  // namespace

int Receive(Thread& thread, uint64_t serial, wire::Reply* reply, void* body, size_t body_size) {
  while (thread.standing != 0 && thread.connection.open()) {
    if (const int status = thread.connection.Await(); status != 0) return status;
    wire::Reply head;
    const long seen = Raw(SYS_recvfrom, thread.connection.fd(), reinterpret_cast<long>(&head),
                          sizeof(head), MSG_PEEK);
    if (seen != sizeof(head) || head.serial != thread.standing) break;
    if (const int status = TakeOne(thread, 0); status != 0) return status;
  }
  return thread.connection.Receive(serial, reply, body, body_size);
}

int TakeReceived(Thread& thread) {
  if (thread.standing == 0 || thread.answer.reply.serial != thread.standing) return 0;
  thread.answer.reply.serial = 0;
  return Keep(thread, thread.answer);
}

int TakePushed(Thread& thread) {
  if (const int status = TakeReceived(thread); status != 0) return status;
  while (thread.standing != 0) {
    const int status = TakeOne(thread, MSG_DONTWAIT);
    if (status == -EAGAIN) return 0;
    if (status != 0) return status;
  }
  return 0;
}

int EndStanding(Thread& thread) {
  if (thread.standing == 0) return 0;
  wire::PlainRequest cancel;
  cancel.header = {
      .op = wire::Op::kCancel, .flags = wire::kNoReply, .serial = thread.connection.NextSerial()};
  cancel.target = thread.standing;
  int status = thread.connection.Send(&cancel, sizeof(cancel), nullptr, 0);
  while (status == 0 && thread.standing != 0) status = TakeOne(thread, 0);
  thread.in_a_row = 0;
  return status;
}

void DropStops(Thread& thread, pid_t pid) {
  if (TakePushed(thread) != 0) return;
  for (size_t n = thread.events.size(); n-- > 0;) {
    if (thread.events[n].pid == pid && thread.events[n].stopped != 0) thread.events.Remove(n);
  }
}

int Settle(Thread& thread) {
  // A handler interrupted a wait for the standing one: what came meanwhile is kept.
  if (const int status = TakeReceived(thread); status != 0) return status;
  if (thread.pending == 0) return 0;
  WaitAnswer& answer = thread.answer;
  if (answer.reply.serial != thread.pending) {
    wire::PlainRequest cancel;
    cancel.header = {
        .op = wire::Op::kCancel, .flags = wire::kNoReply, .serial = thread.connection.NextSerial()};
    cancel.target = thread.pending;
    int status = thread.connection.Send(&cancel, sizeof(cancel), nullptr, 0);
    if (status == 0) {
      status = thread.connection.Receive(thread.pending, &answer.reply, &answer.wait,
                                         sizeof(answer.wait));
    }
    if (status != 0) {
      thread.pending = 0;
      return status;
    }
  }
  thread.pending = 0;
  if (const int status = CheckWait(thread, answer.reply, answer.wait); status != 0) return status;
  if (answer.reply.error == 0 && answer.wait.outcome == wire::WaitOutcome::kEvent) {
    return thread.events.Add(answer.wait) ? 0 : -ENOMEM;
  }
  return 0;
}

bool Events::Add(const wire::WaitReply& event) {
  if (size_ == capacity_) {
    const size_t wanted = capacity_ == 0 ? 64 : 2 * capacity_;
    const long memory = Raw(SYS_mmap, 0, static_cast<long>(wanted * sizeof(event)),
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory < 0 && memory > -4096) return false;
    auto* const events = reinterpret_cast<wire::WaitReply*>(memory);
    const size_t size = size_;
    if (size != 0) memcpy(events, events_, size * sizeof(event));
    Free();
    events_ = events;
    size_ = size;
    capacity_ = wanted;
  }
  events_[size_++] = event;
  return true;
}

void Events::Remove(size_t n) {
  --size_;
  memmove(&events_[n], &events_[n + 1], (size_ - n) * sizeof(events_[0]));
}

void Events::Free() {
  if (events_ != nullptr) {
    Raw(SYS_munmap, reinterpret_cast<long>(events_),
        static_cast<long>(capacity_ * sizeof(events_[0])));
  }
  events_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

void ForgetThread() {
  Thread& thread = t_thread;
  // ForgetConnections has closed it.
  thread.connection = Connection{};
  thread.pending = 0;
  thread.standing = 0;
  thread.in_a_row = 0;
  thread.events.Clear();
  thread.quiet_since = 0;
  thread.only_tracees = 0;
  thread.mixed = 0;
  thread.in_vain = false;
  ForgetAllStops(thread);
}

void KnowStop(Thread& thread, pid_t pid, const wire::StopDetail& detail) {
  if (thread.stops == nullptr) {
    const long memory =
        Raw(SYS_mmap, 0, sizeof(Stops), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory < 0 && memory > -4096) return;
    thread.stops = reinterpret_cast<Stops*>(memory);
  }
  Stops::Entry& entry = thread.stops->Of(pid);
  entry.pid = pid;
  entry.detail = detail;
}

wire::StopDetail* KnownStop(Thread& thread, pid_t pid) {
  if (thread.stops == nullptr || pid <= 0) return nullptr;
  Stops::Entry& entry = thread.stops->Of(pid);
  return entry.pid == pid ? &entry.detail : nullptr;
}

void ForgetStop(Thread& thread, pid_t pid) {
  if (thread.stops == nullptr || pid <= 0) return;
  Stops::Entry& entry = thread.stops->Of(pid);
  if (entry.pid == pid) entry.pid = 0;
}

void ForgetAllStops(Thread& thread) {
  if (thread.stops != nullptr) thread.stops->Clear();
}

}  // namespace utrace::ptrace_compat::client
