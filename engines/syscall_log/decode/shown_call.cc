#include "engines/syscall_log/decode/shown_call.h"

#include <string.h>

#include <utility>

#include "core/result.h"
#include "engines/syscall_log/decode/json_renderer.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/decode/table.h"
#include "engines/syscall_log/decode/text_renderer.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

// Errors that the kernel uses between itself and tracers, of linux/errno.h, which programs do not get.
constexpr int kErestartsys = 512;
constexpr int kErestartnointr = 513;
constexpr int kErestartnohand = 514;
constexpr int kErestartRestartblock = 516;

void PutResult(Call& call, Returns returns) {
  const auto value = static_cast<uint64_t>(call.value);
  switch (returns) {
    case Returns::kDecimal:
    case Returns::kNothing:
      return call.out.Signed(call.value);
    case Returns::kAddress:
      return call.out.Address(value);
    case Returns::kHex:
      return call.out.Hex(value);
    case Returns::kOctal:
      return call.out.Octal(value);
    case Returns::kDescriptor:
      return PutDescriptor(call, static_cast<int>(call.value));
  }
}

// The result of fcntl is a descriptor, flags, or a number, as the note tells.
Returns ReturnsOf(const CallInfo* info, bool has_note) {
  if (info == nullptr) return Returns::kDecimal;
  return has_note && info->name == std::string_view("fcntl") ? Returns::kHex : info->returns;
}

}  // namespace

const char* RestartText(int error) {
  switch (error) {
    case kErestartsys:
      return "To be restarted if SA_RESTART is set";
    case kErestartnointr:
      return "To be restarted";
    case kErestartnohand:
      return "To be restarted if no handler";
    case kErestartRestartblock:
      return "Interrupted by signal";
    default:
      return nullptr;
  }
}

void AppendOutcome(Text& out, const CallOutcome& outcome) {
  const char* name = ErrnoName(outcome.error);
  if (outcome.error == 0) {
    Print(out, "{}", outcome.value);
  } else if (const char* restart = RestartText(outcome.error); restart != nullptr) {
    Print(out, "? {} ({})", name, restart);
  } else if (name != nullptr) {
    Print(out, "-1 {} ({})", name, strerrordesc_np(outcome.error));
  } else {
    Print(out, "-1 errno {}", outcome.error);
  }
}

void AppendJsonOutcome(Text& out, const CallOutcome& outcome) {
  if (outcome.error == 0) {
    Print(out, "\"result\":{}", outcome.value);
    return;
  }
  const char* name = ErrnoName(outcome.error);
  Print(out, "\"error\":\"{}\"", name != nullptr ? name : std::to_string(outcome.error));
  if (RestartText(outcome.error) != nullptr) Append(out, ",\"restarts\":true");
}

template <class Body>
void ShownCall::Render(const Body& body) {
  if (format_ == Format::kJson) {
    JsonRenderer renderer(pieces_text_);
    body(renderer);
  } else {
    TextRenderer renderer(pieces_text_);
    body(renderer);
  }
}

bool ShownCall::IsPresent(unsigned index) const {
  if (info_ == nullptr) return true;
  const Param& param = info_->params[index];
  return param.name != nullptr && (param.type.present == nullptr || param.type.present(args_));
}

void ShownCall::Show(unsigned index, Call& call) {
  Piece& piece = pieces_[index];
  piece.begin = pieces_text_.size();
  call.index = index;
  if (info_ == nullptr) {
    call.out.Hex(args_[index]);
  } else {
    const Type& type = info_->params[index].type;
    if (type.when == When::kExit && !call.succeeded() && !type.on_failure) {
      call.out.Address(args_[index]);
    } else {
      type.show(call, args_[index]);
    }
  }
  piece.end = pieces_text_.size();
  piece.there = true;
}

void ShownCall::Enter(long number, const std::array<uint64_t, 6>& args,
                      const Surroundings& surroundings) {
  number_ = number;
  args_ = args;
  kept_ = {};
  pieces_ = {};
  pieces_text_.clear();
  result_.clear();
  const std::string_view interrupted = std::exchange(interrupted_name_, {});
  resumed_name_ = SyscallName(number) == "restart_syscall" ? interrupted : std::string_view();
  const TableEntry* entry = FindCall(number);
  info_ = entry == nullptr ? nullptr : entry->info;
  Render([&](Renderer& out) {
    Call call{.out = out,
              .memory = surroundings.memory,
              .descriptors = surroundings.descriptors,
              .style = surroundings.style,
              .args = args_,
              .kept = kept_};
    for (unsigned i = 0; i < args_.size(); ++i) {
      if (!IsPresent(i)) continue;
      if (info_ == nullptr || info_->params[i].type.when != When::kExit) Show(i, call);
    }
  });
}

void ShownCall::Exit(const CallOutcome& outcome, const Surroundings& surroundings) {
  if (outcome.error == kErestartRestartblock) {
    interrupted_name_ = resumed_name_.empty() ? SyscallName(number_) : resumed_name_;
  }
  Render([&](Renderer& out) {
    Call call{.out = out,
              .memory = surroundings.memory,
              .descriptors = surroundings.descriptors,
              .style = surroundings.style,
              .args = args_,
              .kept = kept_,
              .exit = true,
              .error = outcome.error,
              .value = outcome.value};
    for (unsigned i = 0; i < args_.size(); ++i) {
      if (info_ != nullptr && IsPresent(i) && info_->params[i].type.when != When::kEntry) {
        Show(i, call);
      }
    }
    ShowResult(call, outcome);
  });
}

void ShownCall::ShowResult(Call& call, const CallOutcome& outcome) {
  const bool json = format_ == Format::kJson;
  if (outcome.error != 0) {
    if (json) {
      AppendJsonOutcome(result_, outcome);
    } else {
      AppendOutcome(result_, outcome);
    }
    return;
  }
  // Shown behind the arguments, and moved to where it belongs.
  const size_t begin = pieces_text_.size();
  const bool note = info_ != nullptr && info_->note != nullptr && info_->note(call);
  const size_t middle = pieces_text_.size();
  PutResult(call, ReturnsOf(info_, note));
  const std::string_view text(pieces_text_.data(), pieces_text_.size());
  Append(result_, json ? "\"result\":" : "");
  Append(result_, text.substr(middle));
  if (note) {
    Append(result_, json ? ",\"note\":" : " ");
    Append(result_, text.substr(begin, middle - begin));
  }
  pieces_text_.resize(begin);
}

void ShownCall::AppendArguments(Text& out, size_t first, size_t last) const {
  bool empty = true;
  if (format_ == Format::kText && !resumed_name_.empty() && first == 0) {
    Print(out, "<... resuming interrupted {} ...>", resumed_name_);
  }
  for (size_t i = 0; i < first; ++i) empty = empty && !pieces_[i].there;
  for (size_t i = first; i < last; ++i) {
    const Piece& piece = pieces_[i];
    if (!piece.there) continue;
    if (!empty) Append(out, format_ == Format::kJson ? "," : ", ");
    empty = false;
    if (format_ == Format::kJson) {
      if (info_ == nullptr) {
        Print(out, "\"arg{}\":", i + 1);
      } else {
        Print(out, "\"{}\":", info_->params[i].name);
      }
    } else if (info_ != nullptr && info_->params[i].type.name_in_text) {
      Print(out, "{}=", info_->params[i].name);
    }
    Append(out, {pieces_text_.data() + piece.begin, piece.end - piece.begin});
  }
}

void ShownCall::AppendArguments(Text& out) const { AppendArguments(out, 0, pieces_.size()); }

size_t ShownCall::CertainArguments() const {
  size_t count = 0;
  while (count < pieces_.size() &&
         (pieces_[count].there || !IsPresent(static_cast<unsigned>(count)))) {
    ++count;
  }
  return count;
}

void ShownCall::AppendResult(Text& out) const { Append(out, {result_.data(), result_.size()}); }

}  // namespace utrace::syscall_log
