#include "server/crash.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>

#include "core/owner.h"
#include "server/engine_owner.h"

namespace utrace::server {
namespace {

constexpr size_t kMostClients = 8192;

struct Fault {
  int signal;
  std::string_view name;
};
constexpr std::array<Fault, 5> kFaults = {{{SIGSEGV, "SIGSEGV"},
                                           {SIGBUS, "SIGBUS"},
                                           {SIGILL, "SIGILL"},
                                           {SIGFPE, "SIGFPE"},
                                           {SIGABRT, "SIGABRT"}}};

// A socket's number plus one; zero is free.
std::array<std::atomic<int>, kMostClients> g_clients;
std::atomic<bool> g_reported{false};

// A text put together without memory from the heap.
class FixedText {
 public:
  FixedText& operator<<(std::string_view piece) {
    const size_t size = std::min(piece.size(), text_.size() - size_);
    std::memcpy(text_.data() + size_, piece.data(), size);
    size_ += size;
    return *this;
  }
  const char* data() const { return text_.data(); }
  size_t size() const { return size_; }

 private:
  std::array<char, 2048> text_;
  size_t size_ = 0;
};

void WriteBody(FixedText& text, int signal, const EngineOwner* owner) {
  std::string_view name = "a signal";
  for (const Fault& fault : kFaults) {
    if (fault.signal == signal) name = fault.name;
  }
  text << "the server died of " << name;
  if (owner != nullptr) text << " in the engine " << owner->crash_text();
}

void OnFault(int signal) {
  if (!g_reported.exchange(true)) {
    const EngineOwner* const owner = ToEngineOwner(OwnerScope::Current());
    FixedText message;
    message << R"({"reply":"crash","text":")";
    WriteBody(message, signal, owner);
    message << "\"}";
    const int own = owner != nullptr ? owner->about().client.socket : -1;
    bool own_told = owner == nullptr;
    for (const std::atomic<int>& entry : g_clients) {
      const int socket = entry.load() - 1;
      if (socket < 0) continue;
      const bool told =
          send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
      if (socket == own && told) own_told = true;
    }
    // The one client that must know is behind with its reading: straight to its terminal.
    if (!own_told) {
      FixedText line;
      line << "utrace: ";
      WriteBody(line, signal, owner);
      line << "\n";
      // Nobody is left to be told if this fails.
      [[maybe_unused]] const ssize_t written =
          write(owner->about().client.error_fd, line.data(), line.size());
    }
  }
  // The disposition is the default again: pending until this handler returns, it ends the process.
  raise(signal);
}

}  // namespace

void ReportCrashes() {
  struct sigaction action {};
  action.sa_handler = OnFault;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  for (const Fault& fault : kFaults) sigaction(fault.signal, &action, nullptr);
}

bool AddClientToTell(int socket) {
  for (std::atomic<int>& entry : g_clients) {
    int free = 0;
    if (entry.compare_exchange_strong(free, socket + 1)) return true;
  }
  return false;
}

void RemoveClientToTell(int socket) {
  for (std::atomic<int>& entry : g_clients) {
    int expected = socket + 1;
    if (entry.compare_exchange_strong(expected, 0)) return;
  }
}

}  // namespace utrace::server
