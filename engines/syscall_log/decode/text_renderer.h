// The text that readers of strace know.
#ifndef ENGINES_SYSCALL_LOG_DECODE_TEXT_RENDERER_H_
#define ENGINES_SYSCALL_LOG_DECODE_TEXT_RENDERER_H_

#include <array>

#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

class TextRenderer final : public Renderer {
 public:
  using Renderer::Renderer;

  void Signed(int64_t value) override;
  void Unsigned(uint64_t value) override;
  void Hex(uint64_t value) override;
  void Octal(uint64_t value) override;
  void Kibi(uint64_t value) override;
  void Address(uint64_t value) override;
  void Name(std::string_view name) override;
  void String(std::string_view bytes, bool cut) override;
  void Data(std::string_view bytes, bool cut) override;
  void Descriptor(int fd, std::string_view path) override;
  void WaitStatus(int status) override;
  void Device(uint32_t major, uint32_t minor) override;
  void BeginStruct() override { Begin("{", ", ", false); }
  void Field(std::string_view name) override;
  void EndStruct() override { End("}"); }
  void BeginArray() override { Begin("[", ", ", true); }
  void EndArray() override { End("]"); }
  void BeginFlags() override { Begin("", "|", true); }
  void EndFlags() override;
  void BeginSet(bool inverted) override { Begin(inverted ? "~[" : "[", " ", true); }
  void EndSet() override { End("]"); }
  void BeginArguments(std::string_view macro) override;
  void EndArguments() override { End(")"); }
  void BeginChange() override { Begin("", "", true); }
  void Arrow() override { TextOnly(" => "); }
  void EndChange() override { End(""); }
  void BeginNote() override { Begin("(", ", ", false); }
  void EndNote() override { End(")"); }
  void More() override;
  void TextOnly(std::string_view text) override { Append(out(), text); }
  void JsonOnly(uint64_t) override {}
  void FieldWithoutText(std::string_view name) override;

 private:
  struct Level {
    const char* separator = "";
    bool values_are_items = false;  // each value gets a separator; otherwise each field
    bool empty = true;
  };

  void Begin(const char* opening, const char* separator, bool values_are_items);
  void End(const char* closing);
  void BeforeValue();
  void BeforeItem();

  std::array<Level, 32> levels_;
  size_t depth_ = 0;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_TEXT_RENDERER_H_
