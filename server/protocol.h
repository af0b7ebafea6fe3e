// What clients and the server say to each other (docs/server.md). One packet of a SOCK_SEQPACKET socket
// is one message: a JSON object, with the descriptors that it speaks of. The client asks, one request at
// a time; the server answers with any number of replies of which one ends the answer, and may tell of an
// engine's end or a crash in between.
#ifndef SERVER_PROTOCOL_H_
#define SERVER_PROTOCOL_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace utrace::server {

// Changes whenever one side would not understand the other.
inline constexpr int kProtocol = 1;

// Bytes of a message's text; a longer one is an error.
inline constexpr size_t kMaxMessage = size_t{64} << 10;
// Descriptors with one message.
inline constexpr size_t kMaxDescriptors = 16;
// Targets of one request.
inline constexpr size_t kMaxTargets = 4096;

// ---- Requests -----------------------------------------------------------------------------------

// First of all. Comes with one descriptor: the client's standard error.
struct Hello {
  int protocol = kProtocol;
  std::string version;  // of the tools
  std::string command;  // "run"
};

// Make an engine, attached nowhere yet. Comes with a descriptor for each of `files`; the shared object's
// comes first.
struct MakeEngineRequest {
  std::string spec;                // NAME[:KEY=VALUE,...] (engines/options.h)
  bool plugin = false;             // NAME is the path of a shared object, which the client opened
  std::vector<std::string> files;  // the options whose files the client opened
};

// Attach all engines that this client made.
struct AttachRequest {
  std::vector<pid_t> targets;
  bool threads = false;  // to the whole process of a target that is a thread
  bool follow = false;   // and to the processes that the targets create
  bool force = false;    // to process 1 as well
  // To this one thread, and nothing that it creates: a command waits there for its start.
  bool command = false;
  // `command`: it will have a filter for the system calls that the engines want.
  bool fast = false;
};

// Finish all engines that this client made.
struct EndRequest {};

// Take engines, of whatever client, off the targets.
struct DetachRequest {
  std::vector<pid_t> targets;
  bool threads = false;
  std::string engine;  // a name, or "#ID"; empty: all
};

// What is traced: all, or the processes and threads named.
struct ListRequest {
  std::vector<pid_t> targets;
};

struct ControlRequest {
  enum class Kind : uint8_t { kStop, kResume, kInterrupt };
  Kind kind = Kind::kStop;
  std::vector<pid_t> targets;
  bool threads = false;
  bool force = false;
};

using Request = std::variant<Hello, MakeEngineRequest, AttachRequest, EndRequest, DetachRequest,
                             ListRequest, ControlRequest>;

// How many descriptors a message must come with.
size_t DescriptorsOf(const Request& request);

std::string ToText(const Request& request);
// Nullopt, and *error one line, if `text` is no request.
std::optional<Request> ParseRequest(std::string_view text, std::string* error);

// ---- Replies ------------------------------------------------------------------------------------

struct Reply {
  enum class Kind : uint8_t {
    // Before anything was asked: `number` is the server's protocol, `pid` its process, `text` its
    // version and `lines` its program's path.
    kGreeting,
    // Ends an answer. `number`: what was made or done. Of an engine: `lines` are the numbers of the
    // system calls that it wants to see, or "all".
    kDone,
    // Ends an answer: nothing was done, for the reason `text`.
    kError,
    // One target is left out: `pid`, for the reason `text`.
    kRefused,
    // For the user: `text`, about `pid` if that is not zero.
    kNote,
    // `number` of `total` targets are done.
    kProgress,
    // One of the things asked for: `item`, a JSON object.
    kItem,
    // Engine `number` is attached nowhere any more and was finished, because `text`; `lines` are its
    // problems.
    kEnded,
    // The server dies by a fault: `text`.
    kCrash,
  };

  Kind kind = Kind::kDone;
  pid_t pid = 0;
  uint64_t number = 0;
  uint64_t total = 0;
  std::string text;
  std::string item;
  std::vector<std::string> lines;
};

// Cuts texts that would make the message too long.
std::string ToText(const Reply& reply);
std::optional<Reply> ParseReply(std::string_view text, std::string* error);

}  // namespace utrace::server

#endif  // SERVER_PROTOCOL_H_
