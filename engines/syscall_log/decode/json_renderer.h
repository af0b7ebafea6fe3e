// Values as JSON: docs/syscall-log.md says how each looks.
#ifndef ENGINES_SYSCALL_LOG_DECODE_JSON_RENDERER_H_
#define ENGINES_SYSCALL_LOG_DECODE_JSON_RENDERER_H_

#include <array>

#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

// A JSON string, quoted. Bytes that are no UTF-8 become U+FFFD.
void AppendJsonString(Text& out, std::string_view text);

class JsonRenderer final : public Renderer {
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
  void BeginStruct() override { Begin("{", Kind::kFields); }
  void Field(std::string_view name) override;
  void EndStruct() override { End("}"); }
  void BeginArray() override { Begin("[", Kind::kItems); }
  void EndArray() override { End("]"); }
  void BeginFlags() override { Begin("[", Kind::kFlags); }
  void EndFlags() override { End("]"); }
  void BeginSet(bool inverted) override;
  void EndSet() override;
  void BeginArguments(std::string_view) override { Begin("[", Kind::kItems); }
  void EndArguments() override { End("]"); }
  void BeginChange() override;
  void Arrow() override;
  void EndChange() override { End("}"); }
  void BeginNote() override { Begin("{", Kind::kFields); }
  void EndNote() override { End("}"); }
  void More() override;
  void TextOnly(std::string_view) override {}
  void JsonOnly(uint64_t value) override { Unsigned(value); }
  void FieldWithoutText(std::string_view name) override { Field(name); }

 private:
  enum class Kind : uint8_t { kItems, kFlags, kSet, kAllBut, kFields };
  struct Level {
    Kind kind = Kind::kItems;
    bool empty = true;
  };

  void Begin(const char* opening, Kind kind);
  void End(const char* closing);
  void BeforeValue();
  bool AmongFlags() const { return depth_ != 0 && levels_[depth_ - 1].kind == Kind::kFlags; }

  std::array<Level, 32> levels_;
  size_t depth_ = 0;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_JSON_RENDERER_H_
