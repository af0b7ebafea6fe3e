// Call: one system call while it is shown, and how the table describes calls.
#ifndef ENGINES_SYSCALL_LOG_DECODE_CALL_H_
#define ENGINES_SYSCALL_LOG_DECODE_CALL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "engines/syscall_log/decode/memory.h"
#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

// How much is shown.
struct Style {
  size_t strings = 32;   // bytes of a string or buffer; paths are shown whole
  size_t elements = 32;  // of an array
  bool verbose = false;  // structures with all their fields
  bool paths = false;    // descriptors with what they are open on
};

// What a descriptor of the calling thread is open on.
class Descriptors {
 public:
  virtual ~Descriptors() = default;
  // Empty if it is not known.
  virtual std::string PathOf(int fd) = 0;
  virtual std::string WorkingDirectory() = 0;
};

struct Call;
using Show = void (*)(Call& call, uint64_t value);

// When an argument is shown: as it is at entry, as the call left it, or first the one and then the
// other, of which the second replaces the first.
enum class When : uint8_t { kEntry, kExit, kBoth };

// What an argument is besides a value: for filters.
enum class Role : uint8_t { kNone, kPath, kDescriptor };

struct Type {
  Show show;
  When when = When::kEntry;
  Role role = Role::kNone;
  bool on_failure = false;    // an output that is there even if the call failed
  bool name_in_text = false;  // flags=CLONE_VM
  // False if the program does not pass this argument. Null: it always does.
  bool (*present)(const std::array<uint64_t, 6>& args) = nullptr;
};

struct Param {
  const char* name = nullptr;  // null: there is none
  Type type{};
};

// What a call returns.
enum class Returns : uint8_t { kDecimal, kAddress, kHex, kOctal, kDescriptor, kNothing };

// What calls are about, for filters: %file and %desc follow from the parameters.
enum Class : uint32_t {
  kClassNone = 0,
  kClassFile = 1 << 0,
  kClassDesc = 1 << 1,
  kClassNetwork = 1 << 2,
  kClassProcess = 1 << 3,
  kClassSignal = 1 << 4,
  kClassMemory = 1 << 5,
  kClassIpc = 1 << 6,
  kClassStat = 1 << 7,
  kClassCreds = 1 << 8,
  kClassClock = 1 << 9,
};

struct CallInfo {
  const char* name = nullptr;
  Returns returns = Returns::kDecimal;
  std::array<Param, 6> params{};
  // Tells more about a result, between BeginNote and EndNote. Returns false if there is nothing, and
  // has then shown nothing.
  bool (*note)(Call& call) = nullptr;
  uint32_t classes =
      kClassNone;  // beyond the class of its group and what follows from the parameters
};

// Borrows everything. Good for one call on one thread.
struct Call {
  Renderer& out;
  Memory& memory;
  Descriptors& descriptors;
  const Style& style;
  const std::array<uint64_t, 6>& args;
  // Written at entry by types that are shown at both ends, read at exit.
  std::array<uint64_t, 6>& kept;
  unsigned index = 0;  // of the argument being shown
  bool exit = false;
  int error = 0;      // at exit: positive, or zero
  int64_t value = 0;  // at exit: the result of a call that succeeded

  bool succeeded() const { return error == 0; }
  // A result that counts bytes or elements.
  uint64_t count() const { return value > 0 ? static_cast<uint64_t>(value) : 0; }
  int fd_argument(unsigned i) const { return static_cast<int>(args[i]); }

  template <class T>
  bool Read(uint64_t address, T* object) {
    static_assert(std::is_trivially_copyable_v<T>);
    return memory.Read(address, object, sizeof(T)) == sizeof(T);
  }
};

// The object of type T at `address`, shown by `kShow`; the address if it cannot be read.
template <class T, void (*kShow)(Call&, const T&)>
void AtAddress(Call& call, uint64_t address) {
  T object;
  if (address == 0 || !call.Read(address, &object)) return call.out.Address(address);
  kShow(call, object);
}

// `count` objects of type T from `address` on: as many as the style wants and as can be read.
template <class T, class ShowOne>
void PutArray(Call& call, uint64_t address, uint64_t count, const ShowOne& show) {
  if (address == 0) return call.out.Address(0);
  const uint64_t shown = std::min<uint64_t>(count, call.style.elements);
  if (shown == 0) {
    call.out.BeginArray();
    if (count != 0) call.out.More();
    call.out.EndArray();
    return;
  }
  T object;
  if (!call.Read(address, &object)) return call.out.Address(address);
  call.out.BeginArray();
  for (uint64_t i = 0;;) {
    show(call, object);
    if (++i == shown) break;
    if (!call.Read(address + i * sizeof(T), &object)) {
      call.out.Address(address + i * sizeof(T));
      break;
    }
  }
  if (count > shown) call.out.More();
  call.out.EndArray();
}

template <class T, void (*kShow)(Call&, const T&)>
constexpr Type In{AtAddress<T, kShow>};
template <class T, void (*kShow)(Call&, const T&)>
constexpr Type Out{AtAddress<T, kShow>, When::kExit};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_CALL_H_
