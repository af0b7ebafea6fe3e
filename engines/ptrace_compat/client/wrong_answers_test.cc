// Servers that answer wrongly, or not at all.
#include <errno.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engines/ptrace_compat/client/fake_server.h"
#include "engines/ptrace_compat/client/wrong_servers.h"
#include "engines/ptrace_compat/wire.h"
#include "engines/ptrace_compat/wrap_variable.h"

namespace utrace::ptrace_compat::client {
namespace {

constexpr pid_t kTracee = 1 << 28;  // nobody

constexpr char kGone[] =
    "utrace wrap: the server (pid 4711) is gone; the tracees run on untraced\n";
constexpr char kSilent[] =
    "utrace wrap: the server (pid 4711) does not answer; it is asked no more, and the tracees run "
    "on untraced\n";
constexpr char kSenseless[] =
    "utrace wrap: the server (pid 4711) sends what is no answer; it is asked no more, and the "
    "tracees run on untraced\n";

// ---- Wrong answers ----------------------------------------------------------------------------------

// What comes instead of the answer to one request. The connection stays open until the client closes it, but for
// those that return false.
struct WrongAnswer {
  const char* name;
  const char* told;
  bool (*answer)(const Peer& peer, uint64_t serial);
  int patience = kServerPatience;
};

const std::vector<WrongAnswer>& WrongAnswers() {
  static const std::vector<WrongAnswer> all = {
      {"Closes", kGone, [](const Peer&, uint64_t) { return false; }},
      {"NeverAnswers", kSilent, [](const Peer&, uint64_t) { return true; }, kImpatient},
      {"HalfAReply", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.Say(std::string_view(reinterpret_cast<const char*>(&serial), sizeof(serial)));
         return true;
       }},
      {"Garbage", kSenseless,
       [](const Peer& peer, uint64_t) {
         peer.Say(std::string_view(std::string(300, '\xa5')));
         return true;
       }},
      {"AnotherSerial", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.Answer(wire::Reply{.serial = serial + 1000});
         return true;
       }},
      {"LessThanItSays", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.AnswerAs(wire::Reply{.serial = serial, .size = 8}, "1234");
         return true;
       }},
      {"MoreThanItSays", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.AnswerAs(wire::Reply{.serial = serial, .size = 0}, "12345678");
         return true;
       }},
      {"Oversize", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.Answer(wire::Reply{.serial = serial}, std::string(wire::kMaxPayload, 'x'));
         return true;
       }},
      {"SaysThatItIsOversize", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.AnswerAs(wire::Reply{.serial = serial, .size = ~0U}, "x");
         return true;
       }},
      {"NegativeErrno", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.Answer(wire::Reply{.serial = serial, .error = -ESRCH});
         return true;
       }},
      {"NoErrno", kSenseless,
       [](const Peer& peer, uint64_t serial) {
         peer.Answer(wire::Reply{.serial = serial, .error = 1 << 20});
         return true;
       }},
  };
  return all;
}

struct Call {
  const char* name;
  const char* output;
};

constexpr Call kCalls[] = {
    {"attach", "attach: ESRCH\n"},
    {"regset", "regset: ESRCH\n"},
    {"peek", "peek: ESRCH\n"},
    {"siginfo", "siginfo: ESRCH\n"},
    {"sysinfo", "syscall info: ESRCH\n"},
    {"look", "look: ECHILD\n"},
    {"wait", "wait: ECHILD\n"},
    {"memory", "read: 8\nthe word: 1\nwrite: 8\nthe word: 1\n"},
};

// Answers so many requests as a server would that has attached to something, and the rest wrongly.
FakeServer::Talk After(int right_ones, bool (*wrong)(const Peer& peer, uint64_t serial)) {
  auto left = std::make_shared<std::atomic<int>>(right_ones);
  return [left, wrong](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    while (peer.Hear(&header)) {
      if ((header.flags & wire::kNoReply) != 0) continue;
      if ((*left)-- > 0) {
        peer.Answer(wire::Reply{.serial = header.serial});
      } else if (!wrong(peer, header.serial)) {
        return;
      }
    }
  };
}

TEST_F(WrongServers, AnswerWrongly) {
  for (const WrongAnswer& kind : WrongAnswers()) {
    for (const Call& call : kCalls) {
      SCOPED_TRACE(fmt::format("{}, {}", kind.name, call.name));
      std::filesystem::remove(directory() + "/server");
      const FakeServer server(directory(), After(1, kind.answer));
      const Outcome outcome = Run({"attach", call.name, "peek"}, kind.patience);
      ExpectOutcome(outcome, "attach: 0\n" + std::string(call.output) + "peek: ESRCH\n", kind.told);
    }
    SCOPED_TRACE(kind.name);
    std::filesystem::remove(directory() + "/server");
    const FakeServer server(directory(), After(0, kind.answer));
    // Its parent waits for it, and asks too.
    const Outcome outcome = Run({"traceme"}, kind.patience);
    ExpectOutcome(outcome, "traceme: EPERM\nchild: 1, status 0x300\n",
                  std::string(kind.told) + kind.told);
  }
}

// One line for all threads.
TEST_F(WrongServers, AnswerThreadsWrongly) {
  for (const WrongAnswer& kind : WrongAnswers()) {
    SCOPED_TRACE(kind.name);
    std::filesystem::remove(directory() + "/server");
    const FakeServer server(directory(), After(4, kind.answer));
    ExpectOutcome(Run({"threads"}, kind.patience), "all ended\n", kind.told);
  }
}

// A second answer to one request is found when the next one is made.
TEST_F(WrongServers, AnswerTwice) {
  const FakeServer server(directory(), [](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    while (peer.Hear(&header)) {
      if ((header.flags & wire::kNoReply) != 0) continue;
      peer.Answer(wire::Reply{.serial = header.serial});
      peer.Answer(wire::Reply{.serial = header.serial});
    }
  });
  ExpectOutcome(Run({"attach", "peek", "peek"}), "attach: 0\npeek: ESRCH\npeek: ESRCH\n",
                kSenseless);
}

// What the kernel never gives: a result below zero that is no error, and more bytes than were written.
TEST_F(WrongServers, AnswerWithWrongResults) {
  const FakeServer server(directory(), [](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    for (int n = 0; peer.Hear(&header);) {
      if ((header.flags & wire::kNoReply) != 0) continue;
      peer.Answer(wire::Reply{.serial = header.serial, .result = n++ == 0 ? 0 : -70000});
    }
  });
  ExpectOutcome(Run({"attach", "siginfo", "peek"}), "attach: 0\nsiginfo: ESRCH\npeek: ESRCH\n",
                kSenseless);
}

TEST_F(WrongServers, HaveWrittenMoreThanThereWas) {
  const FakeServer server(directory(), [](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    while (peer.Hear(&header)) {
      if ((header.flags & wire::kNoReply) != 0) continue;
      const bool writes = header.op == wire::Op::kWriteMem;
      const bool reads = header.op == wire::Op::kReadMem;
      const wire::Reply reply{
          .serial = header.serial, .error = reads ? ESRCH : 0, .result = writes ? 4096 : 0};
      peer.Answer(reply);
    }
  });
  ExpectOutcome(Run({"attach", "memory"}),
                "attach: 0\nread: 8\nthe word: 1\nwrite: 8\nthe word: 1\n", kSenseless);
}

// ---- Wrong events -----------------------------------------------------------------------------------

wire::WaitReply AStop() {
  wire::WaitReply stop;
  stop.outcome = wire::WaitOutcome::kEvent;
  stop.pid = kTracee;
  stop.tgid = kTracee;
  stop.status = SIGSTOP << 8 | 0x7f;
  stop.stopped = 1;
  return stop;
}

struct WrongEvent {
  const char* name;
  void (*change)(wire::WaitReply* event);
};

constexpr WrongEvent kWrongEvents[] = {
    {"no such outcome", [](wire::WaitReply* event) { event->outcome = wire::WaitOutcome{77}; }},
    {"no pid", [](wire::WaitReply* event) { event->pid = 0; }},
    {"a negative pid", [](wire::WaitReply* event) { event->pid = -1; }},
    {"no process", [](wire::WaitReply* event) { event->tgid = 0; }},
    {"more of a call than there is room for",
     [](wire::WaitReply* event) {
       event->detail.has_syscall_info = 1;
       event->detail.syscall_info_size = 60000;
     }},
};

TEST_F(WrongServers, TellOfWhatCannotBe) {
  for (const WrongEvent& kind : kWrongEvents) {
    for (const char* const call : {"wait", "look"}) {
      SCOPED_TRACE(fmt::format("{}, {}", kind.name, call));
      std::filesystem::remove(directory() + "/server");
      const FakeServer server(directory(), [&kind](Peer& peer) {
        if (!peer.Welcome()) return;
        wire::RequestHeader header;
        while (peer.Hear(&header)) {
          wire::WaitReply event = AStop();
          kind.change(&event);
          if (header.op == wire::Op::kWait) {
            peer.Answer(header.serial, event);
          } else if ((header.flags & wire::kNoReply) == 0) {
            peer.Answer(wire::Reply{.serial = header.serial});
          }
        }
      });
      ExpectOutcome(Run({"attach", call, "sysinfo"}),
                    fmt::format("attach: 0\n{}: ECHILD\nsyscall info: ESRCH\n", call), kSenseless);
    }
  }
}

// A stop for each wait, and one for each time the tracee is resumed once a wait stands. `wrong` comes after that
// many of these.
FakeServer::Talk Telling(int stops, void (*wrong)(Peer& peer, uint64_t standing)) {
  return [stops, wrong](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    uint64_t standing = 0;
    for (int told = 0; peer.Hear(&header);) {
      if (header.op == wire::Op::kCancel) continue;
      if (header.op == wire::Op::kWait && (header.flags & wire::kRing) != 0) {
        // No child but tracees: natively there is none.
        wire::WaitReply nothing;
        peer.Answer(header.serial, nothing);
        continue;
      }
      const bool resumes = (header.flags & wire::kNoReply) != 0;
      if (header.op == wire::Op::kWait) {
        if ((header.flags & wire::kStanding) != 0) standing = header.serial;
        if (standing != 0 && told >= stops) {
          wrong(peer, standing);
          continue;
        }
        peer.Answer(header.serial, AStop());
        ++told;
      } else if (resumes && header.op == wire::Op::kPtrace && standing != 0) {
        if (told >= stops) {
          wrong(peer, standing);
          continue;
        }
        peer.Answer(standing, AStop());
        ++told;
      } else if (!resumes) {
        peer.Answer(wire::Reply{.serial = header.serial});
      }
    }
  };
}

TEST_F(WrongServers, TellWithoutBeingAskedAsTheyShould) {
  const FakeServer server(directory(), Telling(1000, [](Peer&, uint64_t) {}));
  ExpectOutcome(Run({"attach", "often", "peek"}), "attach: 0\ntold\npeek: 0\n", "");
}

TEST_F(WrongServers, TellWithoutBeingAskedWrongly) {
  struct Kind {
    const char* name;
    void (*wrong)(Peer& peer, uint64_t standing);
  };
  constexpr Kind kKinds[] = {
      {"garbage", [](Peer& peer, uint64_t) { peer.Say(std::string_view("garbage")); }},
      {"another serial",
       [](Peer& peer, uint64_t standing) { peer.Answer(standing + 1000, AStop()); }},
      {"half",
       [](Peer& peer, uint64_t standing) {
         peer.AnswerAs({.serial = standing, .size = sizeof(wire::WaitReply)}, "half");
       }},
      {"a half that is said to be whole",
       [](Peer& peer, uint64_t standing) { peer.Answer({.serial = standing}, "half"); }},
      {"oversize",
       [](Peer& peer, uint64_t standing) {
         peer.Answer({.serial = standing}, std::string(wire::kMaxPayload, 'x'));
       }},
  };
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    std::filesystem::remove(directory() + "/server");
    const FakeServer server(directory(), Telling(10, kind.wrong));
    ExpectOutcome(Run({"attach", "often", "peek"}), "attach: 0\nwait: ECHILD\npeek: ESRCH\n",
                  kSenseless);
  }
}

// ---- Waits that are never answered ------------------------------------------------------------------

// A wait may last; but a signal ends it. Then the server owes an answer.
TEST_F(WrongServers, NeverTell) {
  const FakeServer server(directory(), After(1, [](const Peer&, uint64_t) { return true; }));
  ExpectOutcome(Run({"attach", "interrupted", "peek"}, kImpatient),
                "attach: 0\nwait: ECHILD\npeek: ESRCH\n", kSilent);
}

// It says that there is something to wait for, which is awaited without a limit.
TEST_F(WrongServers, TellInTheirOwnTime) {
  const FakeServer server(directory(), [](Peer& peer) {
    if (!peer.Welcome()) return;
    wire::RequestHeader header;
    uint64_t waiting = 0;
    while (peer.Hear(&header)) {
      const bool at_once = (header.flags & (wire::kRing | wire::kNoReply)) != 0;
      if (header.op == wire::Op::kWait) {
        waiting = header.serial;
        if (at_once) peer.Answer(header.serial, wire::WaitReply{});
      } else if (header.op == wire::Op::kCancel && waiting != 0) {
        // Only when the client has had enough.
        peer.Answer(waiting, AStop());
        waiting = 0;
      } else if (!at_once) {
        peer.Answer(wire::Reply{.serial = header.serial});
      }
    }
  });
  const std::string tracee = std::to_string(kTracee);
  ExpectOutcome(Run({"attach", "interrupted", "peek"}, kImpatient),
                "attach: 0\nwait: " + tracee + "\npeek: 0\n", "");
}

// At its end the program says farewell, and waits until that is heard.
TEST_F(WrongServers, NeverLetGo) {
  const FakeServer server(directory(), After(1, [](const Peer&, uint64_t) { return true; }));
  ExpectOutcome(Run({"attach"}, kImpatient), "attach: 0\n", kSilent);
}

TEST_F(WrongServers, TalkOnAfterFarewell) {
  const FakeServer server(directory(), After(1, [](const Peer& peer, uint64_t) {
                            for (int n = 0; n < 100; ++n)
                              peer.Say(std::string_view("and another thing"));
                            return true;
                          }));
  ExpectOutcome(Run({"attach"}), "attach: 0\n", "");
}

}  // namespace
}  // namespace utrace::ptrace_compat::client
