// Sockets, waiting for descriptors, and System V IPC.
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "engines/syscall_log/decode/decode_testing.h"

namespace utrace::syscall_log {
namespace {

class Network : public DecodeTest {
 protected:
  static sockaddr_in Inet() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(80);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
};

TEST_F(Network, Socket) {
  EXPECT_EQ(Show("socket", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP}, Returned(3)),
            "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP) = 3");
  EXPECT_EQ(Show("socket", {AF_UNIX, SOCK_DGRAM, 0}, Returned(3)),
            "socket(AF_UNIX, SOCK_DGRAM, 0) = 3");
  EXPECT_EQ(Show("socket", {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, Returned(3)),
            "socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) = 3");
  EXPECT_EQ(Show("socket", {999, 15, 0}, Failed(EINVAL)),
            "socket(0x3e7 /* AF_??? */, 0xf /* SOCK_??? */, 0) = -1 EINVAL (Invalid argument)");
}

TEST_F(Network, Addresses) {
  const uint64_t inet = memory_.PutObject(Inet());
  EXPECT_EQ(Show("connect", {3, inet, sizeof(sockaddr_in)}),
            "connect(3, {sa_family=AF_INET, sin_port=htons(80), "
            "sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0");
  EXPECT_EQ(Json("connect", {3, inet, sizeof(sockaddr_in)}),
            R"({"args":{"fd":3,"addr":{"sa_family":"AF_INET","sin_port":80,)"
            R"("sin_addr":"127.0.0.1"},"addrlen":16},"result":0})");
  sockaddr_in6 inet6{};
  inet6.sin6_family = AF_INET6;
  inet6.sin6_port = htons(443);
  inet6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(Show("bind", {3, memory_.PutObject(inet6), sizeof(inet6)}),
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            "inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, 28) = 0");
  sockaddr_un local{.sun_family = AF_UNIX, .sun_path = "/run/x"};
  EXPECT_EQ(Show("connect", {3, memory_.PutObject(local), sizeof(local)}),
            "connect(3, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = 0");
  memcpy(local.sun_path, "\0name", 5);
  EXPECT_EQ(Show("bind", {3, memory_.PutObject(local), 7}),
            "bind(3, {sa_family=AF_UNIX, sun_path=@\"name\"}, 7) = 0");
  // Shorter than its family needs.
  EXPECT_EQ(Show("connect", {3, inet, 4}, Failed(EINVAL)),
            "connect(3, {sa_family=AF_INET, sa_data=\"\\0P\"}, 4) = -1 EINVAL (Invalid argument)");
  EXPECT_EQ(Show("connect", {3, inet, 0}, Failed(EINVAL)),
            "connect(3, 0x10000, 0) = -1 EINVAL (Invalid argument)");
}

TEST_F(Network, AddressesThatAreFilledIn) {
  const uint64_t address = memory_.Put(std::string(128, '\0'));
  const uint64_t length = memory_.PutObject(128);
  EXPECT_EQ(Show("accept4", {3, address, length, SOCK_CLOEXEC}, Returned(4), Format::kText,
                 [&] {
                   memory_.Change(address, Inet());
                   memory_.Change(length, 16);
                 }),
            "accept4(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")},"
            " [128 => 16], SOCK_CLOEXEC) = 4");
  EXPECT_EQ(Show("accept", {3, 0, 0}, Returned(4)), "accept(3, NULL, NULL) = 4");
  // A length that is longer than the room there was.
  memory_.Change(length, 2);
  EXPECT_EQ(Show("getsockname", {3, address, length}, Returned(0), Format::kText,
                 [&] { memory_.Change(length, 16); }),
            "getsockname(3, {sa_family=AF_INET}, [2 => 16]) = 0");
}

TEST_F(Network, Messages) {
  const uint64_t data = memory_.Put("x");
  iovec part{reinterpret_cast<void*>(data), 1};
  std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  const cmsghdr head{CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  const int fds[] = {5, 6};
  memcpy(control.data(), &head, sizeof(head));
  memcpy(control.data() + CMSG_LEN(0), fds, sizeof(fds));
  msghdr message{};
  message.msg_iov = reinterpret_cast<iovec*>(memory_.PutObject(part));
  message.msg_iovlen = 1;
  message.msg_control = reinterpret_cast<void*>(memory_.PutObject(control));
  message.msg_controllen = control.size();
  const uint64_t address = memory_.PutObject(message);
  const std::string shown =
      "{msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"x\", iov_len=1}], msg_iovlen=1, "
      "msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5, 6]}], "
      "msg_controllen=24, msg_flags=0}";
  EXPECT_EQ(Show("sendmsg", {3, address, MSG_NOSIGNAL}, Returned(1)),
            "sendmsg(3, " + shown + ", MSG_NOSIGNAL) = 1");
  EXPECT_EQ(Show("recvmsg", {3, address, 0}, Returned(1)), "recvmsg(3, " + shown + ", 0) = 1");
}

TEST_F(Network, Options) {
  const uint64_t one = memory_.PutObject(1);
  const uint64_t four = memory_.PutObject(4);
  EXPECT_EQ(Show("setsockopt", {3, SOL_SOCKET, SO_REUSEADDR, one, 4}),
            "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0");
  EXPECT_EQ(Show("setsockopt", {3, IPPROTO_TCP, TCP_NODELAY, one, 4}),
            "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
  EXPECT_EQ(Show("getsockopt", {3, SOL_SOCKET, SO_ERROR, one, four}),
            "getsockopt(3, SOL_SOCKET, SO_ERROR, [1], [4]) = 0");
  const linger value{.l_onoff = 1, .l_linger = 5};
  EXPECT_EQ(Show("setsockopt", {3, SOL_SOCKET, SO_LINGER, memory_.PutObject(value), 8}),
            "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8) = 0");
}

TEST_F(Network, Poll) {
  const uint64_t fds = memory_.PutArray(std::vector<pollfd>{{3, POLLIN, POLLIN}, {4, POLLOUT, 0}});
  EXPECT_EQ(Show("poll", {fds, 2, 1000}, Returned(1)),
            "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, 1000) = 1 ([{fd=3, "
            "revents=POLLIN}])");
  EXPECT_EQ(Show("poll", {fds, 2, 1000}, Returned(0)),
            "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, 1000) = 0 (Timeout)");
  EXPECT_EQ(Json("poll", {fds, 1, Minus(1)}, Returned(1)),
            R"({"args":{"fds":[{"fd":3,"events":["POLLIN"]}],"nfds":1,"timeout":-1},"result":1,)"
            R"("note":{"ready":[{"fd":3,"revents":["POLLIN"]}]}})");
}

TEST_F(Network, Select) {
  const uint64_t set = memory_.PutObject(uint64_t{0b1001});
  const uint64_t left = memory_.PutObject(timeval{1, 0});
  EXPECT_EQ(Show("pselect6", {4, set, 0, 0, 0, 0}, Returned(1), Format::kText,
                 [&] { memory_.Change(set, uint64_t{0b1000}); }),
            "pselect6(4, [0 3], NULL, NULL, NULL, NULL) = 1 (in [3])");
#ifdef __x86_64__
  EXPECT_EQ(Show("select", {4, set, 0, 0, left}, Returned(1)),
            "select(4, [3], NULL, NULL, {tv_sec=1, tv_usec=0}) = 1 (in [3], left {tv_sec=1, "
            "tv_usec=0})");
  EXPECT_EQ(Json("select", {4, set, 0, 0, left}, Returned(1)),
            R"({"args":{"nfds":4,"readfds":[3],"writefds":null,"exceptfds":null,)"
            R"("timeout":{"tv_sec":1,"tv_usec":0}},"result":1,)"
            R"("note":{"in":[3],"left":{"tv_sec":1,"tv_usec":0}}})");
#endif
}

TEST_F(Network, Epoll) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = 4;
  const uint64_t address = memory_.PutObject(event);
  EXPECT_EQ(Show("epoll_ctl", {3, EPOLL_CTL_ADD, 4, address}),
            "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0");
  EXPECT_EQ(Show("epoll_pwait", {3, address, 10, Minus(1), 0, 8}, Returned(1)),
            "epoll_pwait(3, [{events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}], 10, -1, NULL, 8) = 1");
  EXPECT_EQ(Show("epoll_pwait", {3, address, 10, 0, 0, 8}, Returned(0)),
            "epoll_pwait(3, [], 10, 0, NULL, 8) = 0");
}

TEST_F(Network, Semaphores) {
  EXPECT_EQ(Show("semget", {0, 1, IPC_CREAT | 0600}, Returned(5)),
            "semget(IPC_PRIVATE, 1, IPC_CREAT|0600) = 5");
  EXPECT_EQ(Show("semctl", {5, 0, SETVAL, 1}), "semctl(5, 0, SETVAL, 1) = 0");
  EXPECT_EQ(Show("semctl", {5, 0, IPC_RMID, 99}), "semctl(5, 0, IPC_RMID) = 0");
  const sembuf operation{.sem_num = 0, .sem_op = -1, .sem_flg = SEM_UNDO};
  EXPECT_EQ(Show("semop", {5, memory_.PutObject(operation), 1}),
            "semop(5, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO}], 1) = 0");
}

TEST_F(Network, NotificationOfAQueue) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  EXPECT_EQ(Show("mq_notify", {5, memory_.PutObject(event)}),
            "mq_notify(5, {sigev_value={sival_int=0, sival_ptr=NULL}, sigev_signo=SIGUSR1, "
            "sigev_notify=SIGEV_SIGNAL}) = 0");
}

TEST_F(Network, JsonOfBytesThatAreNoText) {
  const uint64_t latin = memory_.Put("caf\xe9");
  EXPECT_EQ(Json("write", {1, latin, 4}, Returned(4)),
            R"({"args":{"fd":1,"buf":{"hex":"636166e9"},"count":4},"result":4})");
  const uint64_t cut = memory_.Put("caf\xc3\xa9 au lait");
  style_.strings = 4;  // in the middle of a character
  EXPECT_EQ(Json("write", {1, cut, 14}, Returned(14)),
            R"({"args":{"fd":1,"buf":{"text":"caf","cut":true},"count":14},"result":14})");
}

}  // namespace
}  // namespace utrace::syscall_log
