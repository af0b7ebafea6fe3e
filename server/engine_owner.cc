#include "server/engine_owner.h"

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace utrace::server {
namespace {

// Names come from users: what JSON would have to escape is left out of a message made in a hurry.
std::string WithoutSpecials(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    plain += c >= ' ' && c < 0x7f && c != '"' && c != '\\' ? c : '?';
  }
  return plain;
}

}  // namespace

std::string ClientIdentity::Describe() const {
  return fmt::format("utrace {} (pid {})", command, pid);
}

EngineOwner::EngineOwner(About about, std::function<void()> none_left)
    : about_(std::move(about)),
      none_left_(std::move(none_left)),
      crash_text_(WithoutSpecials(
          fmt::format("{} #{} of {}", about_.name, about_.id, about_.client.Describe()))) {}

std::string EngineOwner::Describe() const { return fmt::format("{} #{}", about_.name, about_.id); }

}  // namespace utrace::server
