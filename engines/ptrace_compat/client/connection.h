// Connection: what one thread of the program says to the server.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_CONNECTION_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_CONNECTION_H_

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {

// A descriptor in place of `fd`, which is closed: one that programs do not meet, and that an exec closes.
// Negative if there is none; then `fd` stays.
int MoveUp(int fd);

// Plain data, so that it may lie in a thread's static memory. Signals of the thread are blocked while any
// of its functions run; none may run with borrowed memory (process.h) but on a Connection on the stack
// (Enrol::kNo).
class Connection {
 public:
  enum class Enrol : uint8_t {
    kYes,  // a fork forgets it
    kNo,   // for the moment
  };

  // Zero, or a negative errno.
  int Open(Enrol enrol);
  // Whether it is open, and what is open is still it: programs close descriptors that they do not know.
  // One that is lost is forgotten, and that is told. Looks only if IsInDoubt.
  bool Check();
  bool open() const { return fd_ >= 0; }
  // Check would look: NoteGone named a connection since it last did.
  bool IsInDoubt() const;
  void Close();
  pid_t server() const { return server_; }

  // How often a server was lost, or given up.
  uint32_t losses() const { return losses_; }

  // The number of the next request.
  uint64_t NextSerial() { return ++serial_; }
  uint64_t last_serial() const { return serial_; }

  // Sends a request: `head` begins with a RequestHeader. Zero, or a negative errno: -EFAULT, `body` is
  // not there; -ENOTCONN, the server is gone, which is told once.
  int Send(const void* head, size_t head_size, const void* body, size_t body_size);
  // The reply to request `serial`; the bytes behind it go to `body` as far as there is room. Zero if
  // there is one, or a negative errno: -EFAULT or -ENOTCONN as above, -EINTR if signals are let in.
  int Receive(uint64_t serial, wire::Reply* reply, void* body, size_t body_size);
  // Waits for a packet that the server owes. Zero; -ENOTCONN, its patience has run out.
  int Await();
  // For a thread that waits: as long as `reply` has no serial, nothing was received.
  int fd() const { return fd_; }
  // What a receive of that kind came to: with MSG_TRUNC, and `room` behind the reply.
  int Judge(ssize_t received, uint64_t serial, const wire::Reply& reply, size_t room);
  // What the server said makes no sense: it is asked nothing more, which is told. -ENOTCONN.
  int Refuse();

 private:
  // Why there is no connection any more.
  enum class Fault : uint8_t { kGone, kSilent, kSenseless };

  int Greet();
  bool IsStillIt();
  void Forget();
  void Lose(Fault fault);

  int fd_ = -1;
  int place_ = -1;  // among those that a fork forgets
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  uint32_t checked_ = 0;
  uint32_t losses_ = 0;
  pid_t server_ = 0;
  uint64_t serial_ = 0;
};

// Says why no connection could be made, which Open ended with, unless something of that kind was said since a
// server last answered.
void ComplainOfNone(int status);

// The connection that keeps the server: no thread's, but no less the library's.
void KeepOpen(int fd);
// What this process executes shall not have it. Allowed with borrowed memory.
void CloseKeptOnExec();
// Whether the descriptor is the library's: the program, which does not know it, does not close it. Allowed with
// borrowed memory.
bool IsLibrarys(long fd);
// The lowest of these; -1 if there is none.
long FirstOfLibrary(unsigned first, unsigned last);
// The program wants this number for something else: what the library has there gets another one.
void MakeWay(int fd);

// The program has closed these descriptors, or put others in their places. Allowed with borrowed memory.
void NoteGone(long first, long last);
// After a fork: this process has none of its parent's.
void ForgetConnections();
// Says to all of the process's connections what its SIGCHLD is worth now (wire::SigchldFlags).
void TellSigchldFlags(uint64_t flags);
bool HasConnections();
// Whether no other thread of the program has one, beside one that the caller has.
bool IsOnlyConnection();

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_CONNECTION_H_
