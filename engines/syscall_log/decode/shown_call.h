// ShownCall: one system call from its entry to its exit, as text or as JSON.
//
// An argument is shown when it is certain: what the program passes at entry, before the call or another
// thread can change it; what the call fills in at exit. The pieces are put together in the order of the
// arguments.
#ifndef ENGINES_SYSCALL_LOG_DECODE_SHOWN_CALL_H_
#define ENGINES_SYSCALL_LOG_DECODE_SHOWN_CALL_H_

#include <array>
#include <cstdint>
#include <string>

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

enum class Format : uint8_t { kText, kJson };

// What is needed to show a call; borrowed for the length of a call to ShownCall.
struct Surroundings {
  Memory& memory;
  Descriptors& descriptors;
  const Style& style;
};

struct CallOutcome {
  int error = 0;      // positive, zero for success; may be one of those that only tracers see
  int64_t value = 0;  // of success
};

// To be used again for the next call: it keeps its memory.
class ShownCall {
 public:
  explicit ShownCall(Format format) : format_(format) {}

  // The call begins: shows its inputs.
  void Enter(long number, const std::array<uint64_t, 6>& args, const Surroundings& surroundings);
  // It is over: shows its outputs, and its result.
  void Exit(const CallOutcome& outcome, const Surroundings& surroundings);

  long number() const { return number_; }
  const std::array<uint64_t, 6>& args() const { return args_; }
  // Of restart_syscall: the call that it goes on with, if that was seen; else empty.
  std::string_view resumed_name() const { return resumed_name_; }

  // "3, "...", 4096", or "\"fd\":3,...". Arguments that are not known yet are left out.
  void AppendArguments(Text& out) const;
  // How many arguments can be shown without a gap, from the first on; and the text of those before,
  // and of those from there on, with the comma between them: for calls that are shown in two lines.
  size_t CertainArguments() const;
  void AppendArguments(Text& out, size_t first, size_t last) const;
  // What follows the arguments: "3", "-1 ENOENT (No such file or directory)"; in JSON members of an
  // object: "\"result\":3" or "\"error\":\"ENOENT\"". After Exit.
  void AppendResult(Text& out) const;

 private:
  struct Piece {
    size_t begin = 0;
    size_t end = 0;
    bool there = false;
  };

  template <class Body>
  void Render(const Body& body);
  void Show(unsigned index, Call& call);
  bool IsPresent(unsigned index) const;
  void ShowResult(Call& call, const CallOutcome& outcome);

  const Format format_;
  long number_ = -1;
  const CallInfo* info_ = nullptr;  // null: not decoded, six raw arguments
  std::array<uint64_t, 6> args_{};
  std::array<uint64_t, 6> kept_{};
  std::array<Piece, 6> pieces_;
  Text pieces_text_;
  std::string_view interrupted_name_;  // the call before, if restart_syscall will go on with it
  std::string_view resumed_name_;
  Text result_;
};

// "3", "-1 ENOENT (No such file or directory)", for a call of which nothing else is known.
void AppendOutcome(Text& out, const CallOutcome& outcome);
// The same as members of an object: "\"result\":3", "\"error\":\"ENOENT\"".
void AppendJsonOutcome(Text& out, const CallOutcome& outcome);

// "? ERESTARTSYS (To be restarted if SA_RESTART is set)" for errors that only tracers see; null for
// others.
const char* RestartText(int error);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_SHOWN_CALL_H_
