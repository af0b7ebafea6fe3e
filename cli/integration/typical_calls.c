// Makes typical system calls with arguments that do not change from run to run, so that two tracers of
// it can be compared. Works in the current directory, which must be empty.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

// Raw calls: the C library puts others in the place of some.
#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

static char buffer[4096];

static void files(void) {
  int fd = CALL(openat, AT_FDCWD, "file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  CALL(write, fd, "some text\nwith \"quotes\", a tab\t and \\ and more of it", 50);
  CALL(lseek, fd, 5, SEEK_SET);
  CALL(read, fd, buffer, 10);
  CALL(pread64, fd, buffer, 4, 0);
  CALL(pwrite64, fd, "\1\2\0011", 4, 100);
  struct iovec parts[2] = {{"one", 3}, {"two", 3}};
  CALL(writev, fd, parts, 2);
  struct iovec room[2] = {{buffer, 4}, {buffer + 100, 4}};
  CALL(preadv, fd, room, 2, 0, 0);
  CALL(fsync, fd);
  CALL(ftruncate, fd, 1000);
  CALL(fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, 2000);
  CALL(fadvise64, fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  struct stat about;
  CALL(newfstatat, fd, "", &about, AT_EMPTY_PATH);
  CALL(newfstatat, AT_FDCWD, "/dev/null", &about, AT_SYMLINK_NOFOLLOW);
  CALL(newfstatat, AT_FDCWD, "missing", &about, 0);
  struct statx more;
  CALL(statx, AT_FDCWD, "missing", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &more);
  CALL(fcntl, fd, F_GETFL);
  CALL(fcntl, fd, F_SETFL, O_APPEND);
  CALL(fcntl, fd, F_GETFD);
  CALL(fcntl, fd, F_SETFD, 0);
  int copy = CALL(fcntl, fd, F_DUPFD_CLOEXEC, 20);
  CALL(dup3, fd, 21, O_CLOEXEC);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
  CALL(fcntl, fd, F_SETLK, &lock);
  CALL(flock, fd, LOCK_EX | LOCK_NB);
  CALL(ioctl, fd, FIONREAD, buffer);
  CALL(ioctl, fd, TCGETS, buffer);
  int out = CALL(openat, AT_FDCWD, "copy", O_WRONLY | O_CREAT | O_EXCL, 0600);
  long offset = 0;
  CALL(sendfile, out, fd, &offset, 100);
  CALL(close, copy);
  CALL(close, out);
  CALL(close, fd);
  CALL(close, 999999999);  // larger than any thread id
}

static void paths(void) {
  CALL(mkdirat, AT_FDCWD, "dir", 0755);
  CALL(symlinkat, "file", AT_FDCWD, "link");
  CALL(readlinkat, AT_FDCWD, "link", buffer, sizeof(buffer));
  CALL(linkat, AT_FDCWD, "file", AT_FDCWD, "dir/hard", 0);
  CALL(renameat2, AT_FDCWD, "copy", AT_FDCWD, "dir/copy", RENAME_NOREPLACE);
  CALL(fchmodat, AT_FDCWD, "file", 0600);
  CALL(fchownat, AT_FDCWD, "file", -1, -1, AT_SYMLINK_NOFOLLOW);
  CALL(faccessat, AT_FDCWD, "file", R_OK | W_OK);
  CALL(faccessat2, AT_FDCWD, "missing", F_OK, AT_EACCESS);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
  CALL(utimensat, AT_FDCWD, "file", times, 0);
  CALL(setxattr, "file", "user.test", "value", 5, XATTR_CREATE);
  CALL(getxattr, "missing", "user.test", buffer, 100);
  CALL(umask, 022);
  int dir = CALL(openat, AT_FDCWD, "dir", O_RDONLY | O_DIRECTORY);
  CALL(unlinkat, dir, "copy", 0);
  CALL(unlinkat, dir, "hard", 0);
  CALL(close, dir);
  CALL(unlinkat, AT_FDCWD, "dir", AT_REMOVEDIR);
  CALL(unlinkat, AT_FDCWD, "link", 0);
  CALL(mknodat, AT_FDCWD, "fifo", S_IFIFO | 0600, 0);
  CALL(chdir, ".");
}

static void memory(void) {
  char* area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CALL(mprotect, area, 4096, PROT_READ);
  CALL(madvise, area + 4096, 4096, MADV_DONTNEED);
  CALL(msync, area, 4096, MS_SYNC);
  CALL(mlock, area, 4096);
  CALL(munlock, area, 4096);
  CALL(munmap, area, 16384);
  CALL(mmap, NULL, 0, PROT_NONE, MAP_SHARED, -1, 0);
  int fd = CALL(memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CALL(fcntl, fd, F_ADD_SEALS, F_SEAL_GROW);
  CALL(close, fd);
}

static void sockets(void) {
  int pair[2];
  CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
  CALL(sendto, pair[0], "hello", 5, MSG_NOSIGNAL, NULL, 0);
  CALL(recvfrom, pair[1], buffer, 100, MSG_DONTWAIT, NULL, NULL);
  CALL(recvfrom, pair[1], buffer, 100, MSG_DONTWAIT, NULL, NULL);
  struct iovec part = {"hello", 5};
  struct {
    struct cmsghdr head;
    int fd;
  } control = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CALL(sendmsg, pair[0], &message, 0);
  message.msg_control = &control;
  message.msg_controllen = sizeof(control);
  CALL(sendmsg, pair[0], &message, MSG_DONTWAIT);
  struct iovec room = {buffer, 5};
  struct msghdr answer = {.msg_iov = &room, .msg_iovlen = 1};
  CALL(recvmsg, pair[1], &answer, 0);
  struct pollfd wanted[2] = {{pair[1], POLLIN, 0}, {pair[0], POLLIN | POLLOUT, 0}};
#ifdef SYS_poll
  CALL(poll, wanted, 2, 0);
#endif
  CALL(ppoll, wanted, 1, &(struct timespec){1, 0}, NULL, 8);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[1], &set);
#ifdef SYS_select
  CALL(select, pair[1] + 1, &set, NULL, NULL, NULL);
#endif
  CALL(pselect6, pair[1] + 1, &set, NULL, NULL, NULL, NULL);
  CALL(shutdown, pair[0], SHUT_WR);
  CALL(close, pair[0]);
  CALL(close, pair[1]);

  int server = CALL(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  int one = 1;
  CALL(setsockopt, server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  CALL(setsockopt, server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  socklen_t length = sizeof(one);
  CALL(getsockopt, server, SOL_SOCKET, SO_ERROR, &one, &length);
  struct linger linger = {1, 0};
  CALL(setsockopt, server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CALL(bind, server, &address, sizeof(address));
  CALL(listen, server, 5);
  int client = CALL(socket, AF_INET6, SOCK_DGRAM, 0);
  struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
  other.sin6_addr = in6addr_loopback;
  CALL(connect, client, &other, 4);
  struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "no-such-socket"};
  int stream = CALL(socket, AF_UNIX, SOCK_STREAM, 0);
  CALL(connect, stream, &local, sizeof(local));
  struct sockaddr_storage name;
  length = sizeof(name);
  CALL(getsockname, stream, &name, &length);
  length = sizeof(name);
  CALL(getpeername, stream, &name, &length);
  CALL(close, stream);
  CALL(close, client);
  CALL(close, server);
}

static void waiting(void) {
  int epoll = CALL(epoll_create1, EPOLL_CLOEXEC);
  int event = CALL(eventfd2, 3, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event what = {.events = EPOLLIN | EPOLLET, .data.u64 = 7};
  CALL(epoll_ctl, epoll, EPOLL_CTL_ADD, event, &what);
  struct epoll_event found[4];
  CALL(epoll_pwait, epoll, found, 4, 0, NULL, 8);
  CALL(epoll_ctl, epoll, EPOLL_CTL_DEL, event, NULL);
  CALL(close, event);
  CALL(close, epoll);
  int timer = CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct itimerspec soon = {.it_value = {100, 5}};
  CALL(timerfd_settime, timer, 0, &soon, NULL);
  CALL(close, timer);
  int watch = CALL(inotify_init1, IN_CLOEXEC);
  CALL(inotify_add_watch, watch, "file", IN_MODIFY | IN_CLOSE_WRITE);
  CALL(close, watch);
  int futex = 1;
  CALL(futex, &futex, FUTEX_WAIT_PRIVATE, 2, NULL);
  CALL(futex, &futex, FUTEX_WAKE, 1);
  CALL(nanosleep, &(struct timespec){0, 1000}, NULL);
  CALL(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL);
  CALL(clock_getres, CLOCK_MONOTONIC, NULL);
  struct itimerval interval = {.it_value = {50, 0}};
  CALL(setitimer, ITIMER_VIRTUAL, &interval, NULL);
  int pipes[2];
  CALL(pipe2, pipes, O_CLOEXEC | O_NONBLOCK);
  CALL(read, pipes[0], buffer, 1);
  CALL(close, pipes[0]);
  CALL(close, pipes[1]);
}

static void nothing(int signal) { (void)signal; }

static void processes(void) {
  struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigaddset(&action.sa_mask, SIGINT);
  sigaction(SIGUSR1, &action, NULL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGTERM);
  CALL(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
  CALL(kill, getpid(), SIGUSR1);
  CALL(tgkill, getpid(), getpid(), SIGUSR2);
  CALL(rt_sigtimedwait, &set, NULL, NULL, 8);
  int signals = CALL(signalfd4, -1, &set, 8, SFD_CLOEXEC);
  CALL(close, signals);
  struct rlimit limits = {100, 1024 * 1024};
  CALL(prlimit64, 0, RLIMIT_CORE, NULL, NULL);
  CALL(prlimit64, 0, RLIMIT_NICE, &(struct rlimit){0, 0}, &limits);
  CALL(getrusage, RUSAGE_CHILDREN, buffer);
  CALL(prctl, PR_SET_NAME, "typical");
  CALL(prctl, PR_SET_PDEATHSIG, SIGKILL);
  CALL(getpriority, PRIO_PROCESS, 0);
  CALL(sched_getscheduler, 0);
  CALL(getuid);
  CALL(getresgid, buffer, buffer + 4, buffer + 8);
  CALL(getgroups, 0, NULL);
  CALL(uname, buffer);
  CALL(getsid, -5);
  CALL(unshare, 0);
  // Told before or after wait4 returns, as the moment decides, unless it is blocked meanwhile.
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  CALL(rt_sigprocmask, SIG_BLOCK, &ended, NULL, 8);
  pid_t child = fork();
  if (child == 0) CALL(exit_group, 3);
  int status;
  CALL(wait4, child, &status, 0, NULL);
  CALL(rt_sigprocmask, SIG_UNBLOCK, &ended, NULL, 8);
  CALL(wait4, -1, &status, WNOHANG, NULL);
  CALL(waitid, P_ALL, 0, NULL, WEXITED | WNOHANG, NULL);
  CALL(execve, "no-such-program", ((char*[]){"a", "b c", NULL}), NULL);
}

int main(void) {
  CALL(getppid);  // what is before it belongs to the loader
  files();
  paths();
  memory();
  sockets();
  waiting();
  processes();
  CALL(exit_group, 0);
}
