// EngineOwner: on whose behalf an engine is attached, as `ps` and a crash report name it.
#ifndef SERVER_ENGINE_OWNER_H_
#define SERVER_ENGINE_OWNER_H_

#include <semaphore.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "core/owner.h"

namespace utrace::server {

// Wakes a client's thread in the server. Ringing never blocks.
class Bell {
 public:
  Bell() { sem_init(&semaphore_, 0, 0); }
  ~Bell() { sem_destroy(&semaphore_); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  void Ring() { sem_post(&semaphore_); }
  // Until the next ring; one that came before counts.
  void Wait() {
    while (sem_wait(&semaphore_) != 0) {
    }
  }

 private:
  sem_t semaphore_;
};

// The process at the other end of a connection.
struct ClientIdentity {
  pid_t pid = 0;
  std::string command;  // "run"
  int socket = -1;      // the server's end
  int error_fd = -1;    // its standard error

  // "utrace run (pid 4711)"
  std::string Describe() const;
};

class EngineOwner final : public Owner {
 public:
  enum class Kind : uint8_t {
    kEngine,  // one that a user asked for by name
    kFollow,  // attaches engines to what their tasks create
    kStop,    // utrace stop
    kInterrupt,
    kFilter,  // keeps tasks traced that have a filter for system calls
    kTracer,  // a program that traces by ptrace(2)
  };
  struct About {
    Kind kind = Kind::kEngine;
    uint64_t id = 0;
    std::string name;
    std::string spec;  // as the user wrote it
    ClientIdentity client;
  };

  // `none_left` is called when the last attachment ended, on whatever thread that is, and must not
  // block. May be empty.
  EngineOwner(About about, std::function<void()> none_left);

  const About& about() const { return about_; }
  // "syscall_log #3"
  std::string Describe() const;
  // What Describe and the client's say, escaped for a JSON text. Safe in a signal handler.
  const std::string& crash_text() const { return crash_text_; }

  // Who took it off all tasks or some: for the message about its end.
  void NoteDetachedBy(pid_t client) { detached_by_ = client; }
  pid_t detached_by() const { return detached_by_; }

 private:
  void OnNoneLeft() override {
    if (none_left_) none_left_();
  }

  const About about_;
  const std::function<void()> none_left_;
  const std::string crash_text_;
  std::atomic<pid_t> detached_by_{0};
};

// All attachments in the server are made under an EngineOwner. Null stays null.
inline EngineOwner* ToEngineOwner(Owner* owner) { return static_cast<EngineOwner*>(owner); }

}  // namespace utrace::server

#endif  // SERVER_ENGINE_OWNER_H_
