// FakeServer: a socket where the preloaded library looks for its server, and behind it whatever a test wants.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_FAKE_SERVER_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_FAKE_SERVER_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {

// What it says first. Process 4711 is nobody in particular.
inline constexpr std::string_view kGreeting = R"({"kind":"greeting","pid":4711})";

// One connection, from the server's side.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  ~Peer() { close(socket_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Whoever has gone does not hear it.
  void Say(std::string_view bytes) const {
    (void)send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  template <class T>
  void Say(const T& structure) const {
    Say(std::string_view(reinterpret_cast<const char*>(&structure), sizeof(structure)));
  }
  void Answer(wire::Reply reply, std::string_view payload = {}) const {
    reply.size = static_cast<uint32_t>(payload.size());
    AnswerAs(reply, payload);
  }
  // The size is what `reply` says.
  void AnswerAs(const wire::Reply& reply, std::string_view payload) const {
    std::string packet(reinterpret_cast<const char*>(&reply), sizeof(reply));
    packet += payload;
    Say(std::string_view(packet));
  }
  void Answer(uint64_t serial, const wire::WaitReply& wait) const {
    Answer({.serial = serial},
           std::string_view(reinterpret_cast<const char*>(&wait), sizeof(wait)));
  }
  // The next packet; empty when the client is gone.
  std::string Hear() const {
    std::string packet(size_t{1} << 17, '\0');
    const ssize_t size = recv(socket_, packet.data(), packet.size(), 0);
    packet.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return packet;
  }
  // The next request; false when there is none any more.
  bool Hear(wire::RequestHeader* header) const {
    const std::string packet = Hear();
    if (packet.size() < sizeof(*header)) return false;
    std::memcpy(header, packet.data(), sizeof(*header));
    return true;
  }
  // Until the client has closed its end.
  void HearOut() const {
    while (!Hear().empty()) {
    }
  }
  bool Welcome() const {
    Say(kGreeting);
    if (Hear().size() != sizeof(wire::Hello)) return false;
    Answer(wire::Reply{});
    return true;
  }

 private:
  const int socket_;
};

class FakeServer {
 public:
  // Each connection has its own thread, in which `talk` runs; it closes when that returns.
  using Talk = std::function<void(Peer& peer)>;

  FakeServer(const std::string& directory, Talk talk, int backlog = 16) : talk_(std::move(talk)) {
    listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = directory + "/server";
    EXPECT_LT(name.size(), sizeof(address.sun_path));
    std::memcpy(address.sun_path, name.c_str(), name.size());
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, backlog), 0);
    if (talk_) acceptor_ = std::thread([this] { Accept(); });
  }
  ~FakeServer() {
    shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    for (std::thread& talker : talkers_) talker.join();
    close(listener_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

 private:
  void Accept() {
    for (;;) {
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      talkers_.emplace_back([this, socket] {
        Peer peer(socket);
        talk_(peer);
      });
    }
  }

  const Talk talk_;
  int listener_ = -1;
  std::thread acceptor_;
  std::list<std::thread> talkers_;  // of the acceptor, until that is joined
};

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_FAKE_SERVER_H_
