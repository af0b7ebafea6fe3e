#include "server/start.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace utrace::server {
namespace {

// In the grandchild: nobody's child but init's, leader of nothing, without a terminal.
[[noreturn]] void BecomeServer(int listener) {
  // What the command was started with (nohup, a mask of a shell script) is no business of a server's.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  umask(077);
  if (chdir("/") != 0) _exit(1);
  if (listener == kListenerDescriptor) {
    fcntl(listener, F_SETFD, 0);
  } else if (dup2(listener, kListenerDescriptor) < 0) {
    _exit(1);
  }
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) _exit(1);
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) dup2(null, fd);
  close_range(kListenerDescriptor + 1, ~0U, 0);
  execl("/proc/self/exe", "utrace", "serve", "--listener", nullptr);
  _exit(1);
}

}  // namespace

int StartDaemon(int listener) {
  const pid_t middle = fork();
  if (middle < 0) return -errno;
  if (middle == 0) {
    setsid();
    const pid_t server = fork();
    if (server == 0) BecomeServer(listener);
    _exit(server < 0 ? errno : 0);
  }
  int status = 0;
  while (waitpid(middle, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return -EAGAIN;
  return -WEXITSTATUS(status);
}

}  // namespace utrace::server
