// Servers that no connection can be made to.
#include <errno.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engines/ptrace_compat/client/fake_server.h"
#include "engines/ptrace_compat/client/wrong_servers.h"
#include "engines/ptrace_compat/wire.h"
#include "engines/ptrace_compat/wrap_variable.h"

namespace utrace::ptrace_compat::client {
namespace {

std::string None(const char* why) {
  return fmt::format("utrace wrap: there is no server to ask: {}\n", why);
}

struct NoConnection {
  const char* name;
  const char* why;
  FakeServer::Talk talk;
  int patience = kServerPatience;
};

const std::vector<NoConnection>& NoConnections() {
  static const std::vector<NoConnection> all = {
      {"ClosesAtOnce", "it has hung up", [](Peer&) {}},
      {"ClosesOnHello", "it has hung up",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
       }},
      {"GreetsWithGarbage", "what answers is none",
       [](Peer& peer) {
         peer.Say(std::string_view("\0\xff\x80 HTTP/1.1", 12));
         peer.HearOut();
       }},
      {"GreetsWithoutPid", "what answers is none",
       [](Peer& peer) {
         peer.Say(std::string_view("{\"kind\":\"greeting\"}"));
         peer.HearOut();
       }},
      {"GreetsWithPidZero", "what answers is none",
       [](Peer& peer) {
         peer.Say(std::string_view("{\"pid\":"));
         peer.HearOut();
       }},
      {"GreetsAtLength", "what answers is none",
       [](Peer& peer) {
         peer.Say(std::string_view("{" + std::string(100000, 'x')));
         peer.HearOut();
       }},
      {"NeverGreets", "it does not answer", [](Peer& peer) { peer.HearOut(); }, kImpatient},
      {"NeverAnswersHello", "it does not answer",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.HearOut();
       },
       kImpatient},
      {"AnotherVersion", "it is of another version than this program was wrapped by",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
         peer.Answer(wire::Reply{.error = EPROTO});
       }},
      {"RefusesHello", "errno 3",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
         peer.Answer(wire::Reply{.error = ESRCH});
       }},
      {"HalfAnAnswerToHello", "what answers is none",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
         peer.Say(std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0", 12));
         peer.HearOut();
       }},
      {"TooMuchOfAnAnswerToHello", "what answers is none",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
         peer.Answer(wire::Reply{}, std::string(50000, '\0'));
         peer.HearOut();
       }},
      {"NoErrnoToHello", "what answers is none",
       [](Peer& peer) {
         peer.Say(kGreeting);
         peer.Hear();
         peer.Answer(wire::Reply{.error = -ESRCH});
         peer.HearOut();
       }},
  };
  return all;
}

// Twice: the second failure is told of no more.
TEST_F(WrongServers, CannotBeConnectedTo) {
  for (const NoConnection& kind : NoConnections()) {
    SCOPED_TRACE(kind.name);
    std::filesystem::remove(directory() + "/server");
    const FakeServer server(directory(), kind.talk);
    ExpectOutcome(
        Run({"attach", "look", "peek", "memory", "wait"}, kind.patience),
        "attach: ESRCH\nlook: ECHILD\npeek: ESRCH\nread: 8\nthe word: 1\nwrite: 8\nthe word: "
        "1\nwait: ECHILD\n",
        None(kind.why));
    ExpectOutcome(Run({"traceme"}, kind.patience), "traceme: EPERM\nchild: 1, status 0x300\n",
                  None(kind.why));
  }
}

TEST_F(WrongServers, IsNotThere) {
  ExpectOutcome(Run({"attach", "wait", "traceme"}),
                "attach: ESRCH\nwait: ECHILD\ntraceme: EPERM\nchild: 1, status 0x300\n",
                None("none listens"));
}

TEST_F(WrongServers, HasLeftItsSocket) {
  { const FakeServer server(directory(), nullptr); }
  ExpectOutcome(Run({"attach", "wait"}), "attach: ESRCH\nwait: ECHILD\n", None("none listens"));
}

// Who connects waits for a place in the queue.
TEST_F(WrongServers, NeverAccepts) {
  const FakeServer server(directory(), nullptr, /*backlog=*/0);
  const int first = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // format_to_n has another mangled name in libfmt.so than clang gives it.
  const std::string path = directory() + "/server";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(connect(first, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ExpectOutcome(Run({"attach", "wait", "peek"}, kImpatient),
                "attach: ESRCH\nwait: ECHILD\npeek: ESRCH\n", None("it does not answer"));
  close(first);
}

// A program that asks for nothing is told nothing: its waits are native ones.
TEST_F(WrongServers, ConcernTracersAlone) {
  ExpectOutcome(Run({"wait", "look"}), "wait: ECHILD\nlook: ECHILD\n", "");
}

}  // namespace
}  // namespace utrace::ptrace_compat::client
