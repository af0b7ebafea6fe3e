// Session: what one client has asked of the server, and the thread that does it.
//
// The server's main thread takes requests off the connection and hands them over; everything that may
// wait for a task, for the kernel or for a reader of an engine's output is done on the session's own
// thread, so that a slow client or target delays nobody else.
#ifndef SERVER_SESSION_H_
#define SERVER_SESSION_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/linux/fd.h"
#include "engines/files.h"
#include "engines/instance.h"
#include "engines/plugin_loader.h"
#include "server/engine_owner.h"
#include "server/follower.h"
#include "server/outbox.h"
#include "server/protocol.h"
#include "server/targets.h"

namespace utrace::server {

// What all sessions share.
struct Shared {
  std::atomic<uint64_t> next_engine{1};
  // Tells the main thread that a session has answered, or has ended. Any thread.
  std::function<void(uint64_t session)> notify;
  // The programs that trace thread `tid` by ptrace(2), in order. Any thread.
  std::function<std::vector<pid_t>(pid_t tid)> tracers_of;
  // Has the main thread look whether there is anything left to do. Any thread; does not block.
  std::function<void()> wake;
};

class Session {
 public:
  // `standard_error` is the client's.
  Session(Shared& shared, uint64_t id, ClientIdentity client, std::shared_ptr<Outbox> outbox,
          Fd standard_error);
  // Only once it has ended, or was never asked for anything.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const ClientIdentity& client() const { return client_; }

  // ---- The main thread. ----

  // Has the request served. One at a time: not before answered().
  void Ask(Request request, std::vector<Fd> descriptors);
  bool answered() const { return answered_; }
  // The request that is being served shall come to an end.
  void Cancel() { cancelled_ = true; }
  // The client is gone: its engines go too. ended() becomes true.
  void Close();
  bool ended() const { return ended_; }

 private:
  // One engine of this client.
  struct Served {
    std::shared_ptr<EngineOwner> owner;
    std::shared_ptr<const Plugin> plugin;  // that the instance is made of; null: built in
    std::unique_ptr<EngineInstance> instance;
    // Attaching is over: it has ended once it is attached nowhere.
    bool armed = false;
    bool finished = false;
  };
  class SessionAnswer;

  void Run();
  void Serve(const Request& request, std::vector<Fd> descriptors);
  void Make(const MakeEngineRequest& request, std::vector<Fd> descriptors, Answer& answer);
  std::string PrepareFilter(pid_t target);
  void Attach(const AttachRequest& request, Answer& answer);
  int AttachEngines(const TaskRef& task, std::string* reason);
  void AttachFollowed(const std::vector<EngineOwner*>& parents, TaskView child);
  void FinishIdle();
  std::vector<std::string> Finish(Served& served);
  void StopFollowing();
  std::shared_ptr<EngineOwner> MakeOwner(EngineOwner::Kind kind, std::string name,
                                         std::string spec);

  Shared& shared_;
  const uint64_t id_;
  ClientIdentity client_;
  const std::shared_ptr<Outbox> outbox_;
  const Fd standard_error_;
  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::thread thread_;  // started with the first request
  std::atomic<bool> answered_ = true;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> closed_ = false;
  std::atomic<bool> ended_ = false;

  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  struct Asked {
    Request request;
    std::vector<Fd> descriptors;
  };
  std::deque<Asked> asked_;
  // Entries are added by the thread and stay until it ends; followers read.
  std::vector<std::unique_ptr<Served>> engines_;

  // ---- The thread's own. ----
  std::shared_ptr<LineWriter> error_writer_;
  std::vector<std::shared_ptr<Follower>> followers_;
};

}  // namespace utrace::server

#endif  // SERVER_SESSION_H_
