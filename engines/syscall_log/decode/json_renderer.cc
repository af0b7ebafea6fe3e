#include "engines/syscall_log/decode/json_renderer.h"

#include <sys/wait.h>

#include <utility>

#include "engines/syscall_log/decode/signals.h"

namespace utrace::syscall_log {
namespace {

// The length of the UTF-8 character that `bytes` begins with; 0 if it begins with none, and -1 if it
// ends inside one.
int CharacterLength(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  const int length = first >= 0xc2 && first < 0xe0   ? 2
                     : first >= 0xe0 && first < 0xf0 ? 3
                     : first >= 0xf0 && first < 0xf5 ? 4
                                                     : 0;
  if (length == 0) return 0;
  for (int i = 1; i < length; ++i) {
    if (static_cast<size_t>(i) == bytes.size()) return -1;
    unsigned low = 0x80;
    unsigned high = 0xbf;
    // Longer than need be, surrogates, and beyond the last code point.
    if (i == 1 && first == 0xe0) low = 0xa0;
    if (i == 1 && first == 0xed) high = 0x9f;
    if (i == 1 && first == 0xf0) low = 0x90;
    if (i == 1 && first == 0xf4) high = 0x8f;
    if (at(static_cast<size_t>(i)) < low || at(static_cast<size_t>(i)) > high) return 0;
  }
  return length;
}

// How much of `bytes` is UTF-8; all but an unfinished last character counts as all if more was cut.
bool IsUtf8(std::string_view bytes, bool cut, size_t* length) {
  size_t i = 0;
  while (i < bytes.size()) {
    const int character = CharacterLength(bytes.substr(i));
    if (character == 0 || (character < 0 && !cut)) return false;
    if (character < 0) break;
    i += static_cast<size_t>(character);
  }
  *length = i;
  return true;
}

}  // namespace

void AppendJsonString(Text& out, std::string_view text) {
  out.push_back('"');
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(text[i++]);
    } else if (byte < 0x20 || byte == 0x7f) {
      Print(out, "\\u{:04x}", byte);
      ++i;
    } else if (const int length = CharacterLength(text.substr(i)); length > 0) {
      Append(out, text.substr(i, static_cast<size_t>(length)));
      i += static_cast<size_t>(length);
    } else {
      Append(out, "\\ufffd");
      ++i;
    }
  }
  out.push_back('"');
}

void JsonRenderer::BeforeValue() {
  if (depth_ == 0 || levels_[depth_ - 1].kind == Kind::kFields) return;
  if (!std::exchange(levels_[depth_ - 1].empty, false)) out().push_back(',');
}

void JsonRenderer::Begin(const char* opening, Kind kind) {
  BeforeValue();
  Append(out(), opening);
  levels_.at(depth_) = {.kind = kind};
  ++depth_;
}

void JsonRenderer::End(const char* closing) {
  Append(out(), closing);
  --depth_;
}

void JsonRenderer::Signed(int64_t value) {
  BeforeValue();
  Print(out(), "{}", value);
}

void JsonRenderer::Unsigned(uint64_t value) {
  BeforeValue();
  Print(out(), "{}", value);
}

void JsonRenderer::Hex(uint64_t value) {
  BeforeValue();
  if (AmongFlags()) {
    Print(out(), "\"{:#x}\"", value);
  } else {
    Print(out(), "{}", value);
  }
}

void JsonRenderer::Octal(uint64_t value) {
  BeforeValue();
  if (AmongFlags()) {
    Print(out(), "\"0{:02o}\"", value);
  } else {
    Print(out(), "{}", value);
  }
}

void JsonRenderer::Kibi(uint64_t value) { Unsigned(value); }

void JsonRenderer::Address(uint64_t value) {
  BeforeValue();
  if (value == 0) {
    Append(out(), "null");
  } else {
    Print(out(), "{{\"address\":\"{:#x}\"}}", value);
  }
}

void JsonRenderer::Name(std::string_view name) {
  BeforeValue();
  AppendJsonString(out(), name);
}

void JsonRenderer::String(std::string_view bytes, bool cut) {
  size_t length = 0;
  if (!IsUtf8(bytes, cut, &length)) return Data(bytes, cut);
  BeforeValue();
  if (!cut) return AppendJsonString(out(), bytes);
  Append(out(), "{\"text\":");
  AppendJsonString(out(), bytes.substr(0, length));
  Append(out(), ",\"cut\":true}");
}

void JsonRenderer::Data(std::string_view bytes, bool cut) {
  BeforeValue();
  Append(out(), "{\"hex\":\"");
  for (const char byte : bytes) Print(out(), "{:02x}", static_cast<unsigned char>(byte));
  Append(out(), cut ? "\",\"cut\":true}" : "\"}");
}

void JsonRenderer::Descriptor(int fd, std::string_view path) {
  BeforeValue();
  if (path.empty()) {
    Print(out(), "{}", fd);
    return;
  }
  Print(out(), "{{\"fd\":{},\"path\":", fd);
  AppendJsonString(out(), path);
  out().push_back('}');
}

void JsonRenderer::WaitStatus(int status) {
  BeforeValue();
  if (WIFEXITED(status)) {
    Print(out(), "{{\"exited\":{}}}", WEXITSTATUS(status));
  } else if (WIFCONTINUED(status)) {
    Append(out(), "{\"continued\":true}");
  } else {
    const bool stopped = WIFSTOPPED(status);
    Append(out(), stopped ? "{\"stopped\":\"" : "{\"killed\":\"");
    AppendSignalName(out(), stopped ? WSTOPSIG(status) : WTERMSIG(status));
    Append(out(), !stopped && WCOREDUMP(status) ? "\",\"core_dumped\":true}" : "\"}");
  }
}

void JsonRenderer::Device(uint32_t major, uint32_t minor) {
  BeforeValue();
  Print(out(), "{{\"major\":{},\"minor\":{}}}", major, minor);
}

void JsonRenderer::Field(std::string_view name) {
  if (!std::exchange(levels_[depth_ - 1].empty, false)) out().push_back(',');
  AppendJsonString(out(), name);
  out().push_back(':');
}

void JsonRenderer::BeginSet(bool inverted) {
  if (inverted) {
    Begin("{\"all_but\":[", Kind::kAllBut);
  } else {
    Begin("[", Kind::kSet);
  }
}

void JsonRenderer::EndSet() { End(levels_[depth_ - 1].kind == Kind::kAllBut ? "]}" : "]"); }

void JsonRenderer::BeginChange() { Begin("{\"before\":", Kind::kFields); }

void JsonRenderer::Arrow() { Append(out(), ",\"after\":"); }

void JsonRenderer::More() {
  if (levels_[depth_ - 1].kind == Kind::kFields) {
    Field("more");
    Append(out(), "true");
  } else {
    BeforeValue();
    Append(out(), "{\"more\":true}");
  }
}

}  // namespace utrace::syscall_log
