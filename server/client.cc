#include "server/client.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "server/packet.h"
#include "server/place.h"
#include "server/start.h"

namespace utrace::server {
namespace {

// A server that ends just when it is connected to closes the connection: then there is none, and another
// one is started. That it happens this often in a row means something else.
constexpr int kMostTries = 100;
// Of who waits for the greeting, before being told what for.
constexpr int kPatienceMs = 10'000;

bool NobodyListens(int status) { return status == -ENOENT || status == -ECONNREFUSED; }

}  // namespace

bool IsLast(const Reply& reply) {
  return reply.kind == Reply::Kind::kDone || reply.kind == Reply::Kind::kError;
}

// Zero; -ENOENT there is none and none was to be started; another negative errno with *error.
int Client::ConnectOrStart(IfNone if_none, bool* started, Fd* socket, std::string* error) {
  const std::optional<Place> place = Place::Open(error);
  if (!place) return -EACCES;
  const auto failed = [&](int status, const char* what) {
    *error = fmt::format("{} {}: {}", what, place->socket_name(), strerror(-status));
    return status == -ENOENT ? -EIO : status;
  };
  *started = false;
  int status = place->Connect(socket);
  if (!NobodyListens(status)) {
    return status == 0 ? 0 : failed(status, "cannot connect to the server at");
  }
  if (if_none == IfNone::kFail) return -ENOENT;
  // Of several commands at once one starts the server, and the others find it.
  Fd lock;
  if (const int locked = place->Lock(/*wait=*/true, &lock); locked != 0) {
    return failed(locked, "cannot lock the directory of");
  }
  status = place->Connect(socket);
  if (!NobodyListens(status)) {
    return status == 0 ? 0 : failed(status, "cannot connect to the server at");
  }
  Fd listener;
  status = place->Listen(&listener);
  if (status != 0) return failed(status, "cannot make the socket");
  // In the queue before the server is there: it begins with a client, and ends with its last.
  status = place->Connect(socket);
  if (status == 0) status = StartDaemon(listener.get());
  if (status != 0) {
    place->Remove();
    return failed(status, "cannot start a server at");
  }
  *started = true;
  return 0;
}

std::unique_ptr<Client> Client::Connect(const std::string& command, const std::string& version,
                                        IfNone if_none, std::string* error) {
  error->clear();
  for (int tries = 0; tries < kMostTries; ++tries) {
    bool started = false;
    Fd socket;
    const int status = ConnectOrStart(if_none, &started, &socket, error);
    if (status != 0) return nullptr;
    std::unique_ptr<Client> client(new Client(std::move(socket)));
    if (!client->AwaitMessage(kPatienceMs)) {
      fputs(
          fmt::format("utrace {}: the server does not answer; waiting for it. Is a process `utrace "
                      "serve` stopped? Killed, it lets what it traces run on\n",
                      command)
              .c_str(),
          stderr);
    }
    const std::optional<Reply> greeting = client->Receive(/*wait=*/true);
    if (!greeting) {
      if (!started) continue;
      *error =
          "the server that was started ended at once; `utrace serve` in another terminal shows why";
      return nullptr;
    }
    if (greeting->kind != Reply::Kind::kGreeting ||
        greeting->number != static_cast<uint64_t>(kProtocol)) {
      *error = greeting->kind == Reply::Kind::kError
                   ? greeting->text
                   : fmt::format(
                         "the running server (pid {}, version {}) speaks protocol {}, this utrace "
                         "speaks {}: let its commands end (utrace ps of that version shows them), "
                         "or end it with kill {}",
                         greeting->pid, greeting->text, greeting->number, kProtocol, greeting->pid);
      return nullptr;
    }
    client->greeting_ = *greeting;
    const std::array<int, 1> standard_error = {STDERR_FILENO};
    if (!client->Send(Hello{.protocol = kProtocol, .version = version, .command = command},
                      standard_error)) {
      continue;
    }
    return client;
  }
  *error = "the server ends again and again; `utrace serve` in another terminal shows why";
  return nullptr;
}

bool Client::AwaitMessage(int milliseconds) const {
  pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, milliseconds) != 0;
}

bool Client::Send(const Request& request, std::span<const int> descriptors) {
  if (!gone_) gone_ = SendPacket(socket_.get(), ToText(request), descriptors, /*wait=*/true) != 0;
  return !gone_;
}

std::optional<Reply> Client::Receive(bool wait) {
  if (gone_) return std::nullopt;
  Packet packet;
  const Received received = ReceivePacket(socket_.get(), wait, &packet);
  if (received == Received::kNothing && !wait) return std::nullopt;
  std::string error;
  std::optional<Reply> reply;
  if (received == Received::kPacket) reply = ParseReply(packet.text, &error);
  gone_ = !reply.has_value();
  return reply;
}

Reply Client::Ask(const Request& request, std::span<const int> descriptors,
                  const std::function<void(const Reply&)>& on_reply) {
  if (Send(request, descriptors)) {
    while (std::optional<Reply> reply = Receive(/*wait=*/true)) {
      if (IsLast(*reply)) return *reply;
      on_reply(*reply);
    }
  }
  return {.kind = Reply::Kind::kError, .text = "the server has died"};
}

}  // namespace utrace::server
