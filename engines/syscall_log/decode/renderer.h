// Renderer: what a system call's arguments are shown with, value by value.
//
// Decoders say what there is: a name, a string, a structure with fields. The renderers turn it into
// strace's text or into JSON; so both formats come from the same decoding and cannot disagree.
//
// Between values a renderer puts what its format needs. A structure is BeginStruct, then Field and one
// value for each field, then EndStruct; arrays, flags and sets are their values in between.
#ifndef ENGINES_SYSCALL_LOG_DECODE_RENDERER_H_
#define ENGINES_SYSCALL_LOG_DECODE_RENDERER_H_

#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace utrace::syscall_log {

using Text = fmt::memory_buffer;

void Append(Text& out, std::string_view text);
// The same with a format of fmt.
template <class... Args>
void Print(Text& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

class Renderer {
 public:
  // Appends to `out`, which must outlive it.
  explicit Renderer(Text& out) : out_(out) {}
  virtual ~Renderer() = default;
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // Numbers. JSON has them as numbers; among flags, as strings in the base named.
  virtual void Signed(int64_t value) = 0;
  virtual void Unsigned(uint64_t value) = 0;
  virtual void Hex(uint64_t value) = 0;
  virtual void Octal(uint64_t value) = 0;
  // A multiple of 1024: "8192*1024".
  virtual void Kibi(uint64_t value) = 0;
  // An address in the program: "0x7ffd1c40" or "NULL"; {"address": "0x7ffd1c40"} or null.
  virtual void Address(uint64_t value) = 0;
  // A constant by its name, and other words that stand for a value: O_RDONLY.
  virtual void Name(std::string_view name) = 0;
  // Bytes that the program passes as text or data; `cut`: there are more of them.
  virtual void String(std::string_view bytes, bool cut) = 0;
  // The same of bytes that are no text: \x4f\x33 in text.
  virtual void Data(std::string_view bytes, bool cut) = 0;
  // A descriptor, and what it is open on if that is known (not empty).
  virtual void Descriptor(int fd, std::string_view path) = 0;
  // As wait gives it: {WIFEXITED(s) && WEXITSTATUS(s) == 0}.
  virtual void WaitStatus(int status) = 0;
  // A device's number: makedev(0x8, 0x1).
  virtual void Device(uint32_t major, uint32_t minor) = 0;

  virtual void BeginStruct() = 0;
  virtual void Field(std::string_view name) = 0;
  virtual void EndStruct() = 0;
  virtual void BeginArray() = 0;
  virtual void EndArray() = 0;
  // Values joined by '|'.
  virtual void BeginFlags() = 0;
  virtual void EndFlags() = 0;
  // A set, or everything but what follows: [INT CHLD], ~[INT].
  virtual void BeginSet(bool inverted) = 0;
  virtual void EndSet() = 0;
  // Values that make one by a macro of the headers: QCMD(Q_SYNC, USRQUOTA). An array in JSON.
  virtual void BeginArguments(std::string_view macro) = 0;
  virtual void EndArguments() = 0;
  // A value that the call changed: [16 => 12], as one value, Arrow, another value.
  virtual void BeginChange() = 0;
  virtual void Arrow() = 0;
  virtual void EndChange() = 0;
  // Fields that are told after the result: (left {tv_sec=1, tv_nsec=0}).
  virtual void BeginNote() = 0;
  virtual void EndNote() = 0;
  // There is more here that is not shown: "...". In an array, or in a structure in place of fields.
  virtual void More() = 0;

  // For readers of text only: around a value ("htons(", ")"), or after one ("/* IN_??? */").
  virtual void TextOnly(std::string_view text) = 0;
  // A number that text has shown in a way of its own.
  virtual void JsonOnly(uint64_t value) = 0;
  // A field that readers of text can tell without its name.
  virtual void FieldWithoutText(std::string_view name) = 0;

 protected:
  Text& out() { return out_; }

 private:
  Text& out_;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_RENDERER_H_
