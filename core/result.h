// Status and Result: how the C++ interface tells success from an error.
#ifndef CORE_RESULT_H_
#define CORE_RESULT_H_

#include <string.h>

#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "core/utrace.h"

namespace utrace {

// The name of a positive errno value, those of interrupted calls included; null if it has none.
inline const char* ErrnoName(int number) {
  switch (number) {
    case UTRACE_ERESTARTSYS:
      return "ERESTARTSYS";
    case UTRACE_ERESTARTNOINTR:
      return "ERESTARTNOINTR";
    case 514:
      return "ERESTARTNOHAND";
    case 516:
      return "ERESTART_RESTARTBLOCK";
    default:
      return strerrorname_np(number);
  }
}

// Zero for success, or a negative errno value as the C interface returns it.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr explicit Status(int code) : code_(code) {}

  constexpr bool ok() const { return code_ == 0; }
  constexpr int code() const { return code_; }
  // "ESRCH (No such process)". utrace_last_error_text() may know more.
  std::string ToString() const {
    if (ok()) return "success";
    const char* name = ErrnoName(-code_);
    const char* text = strerrordesc_np(-code_);
    std::string shown = name != nullptr ? name : "error " + std::to_string(-code_);
    if (text != nullptr) shown.append(" (").append(text).append(")");
    return shown;
  }

  friend constexpr bool operator==(Status, Status) = default;

 private:
  int code_ = 0;
};

// A value, or the error that stands for it.
template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): functions return either without ceremony.
  Result(T value) : value_(std::move(value)) {}
  // `error` must not be success. NOLINTNEXTLINE(google-explicit-constructor)
  Result(Status error) : status_(error) { assert(!error.ok()); }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  Status status() const { return status_; }
  int code() const { return status_.code(); }

  // Only if ok().
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T value_or(T other) const { return value_.value_or(std::move(other)); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace utrace

#endif  // CORE_RESULT_H_
