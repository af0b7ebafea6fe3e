#include "engines/syscall_log/decode/text_renderer.h"

#include <sys/wait.h>

#include <utility>

#include "engines/syscall_log/decode/signals.h"

namespace utrace::syscall_log {
namespace {

// As in C, with octal numbers as short as a digit that follows allows.
void AppendEscaped(Text& out, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    switch (byte) {
      case '\t':
        Append(out, "\\t");
        break;
      case '\n':
        Append(out, "\\n");
        break;
      case '\v':
        Append(out, "\\v");
        break;
      case '\f':
        Append(out, "\\f");
        break;
      case '\r':
        Append(out, "\\r");
        break;
      case '"':
        Append(out, "\\\"");
        break;
      case '\\':
        Append(out, "\\\\");
        break;
      default:
        if (byte >= ' ' && byte < 0x7f) {
          out.push_back(bytes[i]);
        } else if (i + 1 < bytes.size() && bytes[i + 1] >= '0' && bytes[i + 1] <= '7') {
          Print(out, "\\{:03o}", byte);
        } else {
          Print(out, "\\{:o}", byte);
        }
    }
  }
}

}  // namespace

void TextRenderer::BeforeItem() {
  if (depth_ == 0) return;
  Level& level = levels_[depth_ - 1];
  if (!std::exchange(level.empty, false)) Append(out(), level.separator);
}

void TextRenderer::BeforeValue() {
  if (depth_ != 0 && levels_[depth_ - 1].values_are_items) BeforeItem();
}

void TextRenderer::Begin(const char* opening, const char* separator, bool values_are_items) {
  BeforeValue();
  Append(out(), opening);
  levels_.at(depth_) = {.separator = separator, .values_are_items = values_are_items};
  ++depth_;
}

void TextRenderer::End(const char* closing) {
  Append(out(), closing);
  --depth_;
}

void TextRenderer::Signed(int64_t value) {
  BeforeValue();
  Print(out(), "{}", value);
}

void TextRenderer::Unsigned(uint64_t value) {
  BeforeValue();
  Print(out(), "{}", value);
}

void TextRenderer::Hex(uint64_t value) {
  BeforeValue();
  if (value == 0) {
    Append(out(), "0");
  } else {
    Print(out(), "{:#x}", value);
  }
}

void TextRenderer::Octal(uint64_t value) {
  BeforeValue();
  // Three digits at least, as modes are written.
  Print(out(), "0{:02o}", value);
}

void TextRenderer::Kibi(uint64_t value) {
  BeforeValue();
  Print(out(), "{}*1024", value / 1024);
}

void TextRenderer::Address(uint64_t value) {
  BeforeValue();
  if (value == 0) {
    Append(out(), "NULL");
  } else {
    Print(out(), "{:#x}", value);
  }
}

void TextRenderer::Name(std::string_view name) {
  BeforeValue();
  Append(out(), name);
}

void TextRenderer::String(std::string_view bytes, bool cut) {
  BeforeValue();
  out().push_back('"');
  AppendEscaped(out(), bytes);
  Append(out(), cut ? "\"..." : "\"");
}

void TextRenderer::Data(std::string_view bytes, bool cut) {
  BeforeValue();
  out().push_back('"');
  for (const char byte : bytes) Print(out(), "\\x{:02x}", static_cast<unsigned char>(byte));
  Append(out(), cut ? "\"..." : "\"");
}

void TextRenderer::Descriptor(int fd, std::string_view path) {
  BeforeValue();
  Print(out(), "{}", fd);
  if (path.empty()) return;
  out().push_back('<');
  AppendEscaped(out(), path);
  out().push_back('>');
}

void TextRenderer::WaitStatus(int status) {
  BeforeValue();
  if (WIFEXITED(status)) {
    Print(out(), "{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", WEXITSTATUS(status));
  } else if (WIFSTOPPED(status)) {
    Append(out(), "{WIFSTOPPED(s) && WSTOPSIG(s) == ");
    AppendSignalName(out(), WSTOPSIG(status));
    Append(out(), "}");
  } else if (WIFCONTINUED(status)) {
    Append(out(), "{WIFCONTINUED(s)}");
  } else {
    Append(out(), "{WIFSIGNALED(s) && WTERMSIG(s) == ");
    AppendSignalName(out(), WTERMSIG(status));
    Append(out(), WCOREDUMP(status) ? " && WCOREDUMP(s)}" : "}");
  }
}

void TextRenderer::Device(uint32_t major, uint32_t minor) {
  BeforeValue();
  const auto hex = [&](uint32_t value) { Print(out(), "{}{:x}", value == 0 ? "" : "0x", value); };
  Append(out(), "makedev(");
  hex(major);
  Append(out(), ", ");
  hex(minor);
  Append(out(), ")");
}

void TextRenderer::Field(std::string_view name) {
  BeforeItem();
  Append(out(), name);
  out().push_back('=');
}

void TextRenderer::FieldWithoutText(std::string_view) { BeforeItem(); }

void TextRenderer::EndFlags() { End(levels_[depth_ - 1].empty ? "0" : ""); }

void TextRenderer::BeginArguments(std::string_view macro) {
  Begin("", ", ", true);
  Append(out(), macro);
  Append(out(), "(");
}

void TextRenderer::More() {
  BeforeItem();
  Append(out(), "...");
}

}  // namespace utrace::syscall_log
