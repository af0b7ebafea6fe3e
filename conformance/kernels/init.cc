// The first process of a guest: sets the scene that programs expect, runs the jobs of /job, hands over what
// they left in /out, and turns the machine off. guest.py is its other side.
//
// /job has a word and a value a line:
//   port PATH      the device that the results go to
//   job NAME       begins a job; what follows belongs to it
//   dir PATH       where it runs
//   env NAME=VALUE
//   arg VALUE      in their order, the program first
// To the port goes one zstd frame: "job STATUS NAME\n" for each job, with the status as wait(2) has it, and
// "file SIZE PATH\n" with the file's content for each regular file below /out, then "end\n". Whatever goes
// wrong is said on the console and ends the guest without "end".
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <zstd.h>

#include <string>
#include <vector>

namespace {

[[noreturn]] void TurnOff() {
  sync();
  reboot(RB_POWER_OFF);
  for (;;) pause();  // it is on its way
}

[[noreturn]] void Fail(const std::string& what) {
  fprintf(stderr, "guest: %s: %s\n", what.c_str(), strerror(errno));
  TurnOff();
}

void Mount(const char* type, const char* place, const char* options = "") {
  if (mkdir(place, 0755) != 0 && errno != EEXIST) Fail(place);
  if (mount(type, place, type, 0, options) != 0) Fail(place);
}

void SetScene() {
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  Mount("devtmpfs", "/dev");
  Mount("devpts", "/dev/pts", "ptmxmode=0666");
  Mount("tmpfs", "/dev/shm", "mode=1777");
  Mount("tmpfs", "/tmp", "mode=1777");
  Mount("tmpfs", "/run");
  for (const char* place : {"/out", "/root", "/var", "/var/tmp"}) {
    if (mkdir(place, 0755) != 0 && errno != EEXIST) Fail(place);
  }
  const struct {
    const char* target;
    const char* path;
  } links[] = {{"/proc/self/fd", "/dev/fd"},
               {"/proc/self/fd/0", "/dev/stdin"},
               {"/proc/self/fd/1", "/dev/stdout"},
               {"/proc/self/fd/2", "/dev/stderr"}};
  for (const auto& link : links) {
    if (symlink(link.target, link.path) != 0 && errno != EEXIST) Fail(link.path);
  }
  if (sethostname("guest", 5) != 0) Fail("the host's name");

  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request) != 0) Fail("the loopback device");
  close(any);
}

struct Job {
  std::string name;
  std::string directory = "/";
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root",
                                          "LANG=C.UTF-8"};
  std::vector<std::string> arguments;
};

struct Plan {
  std::string port;
  std::vector<Job> jobs;
};

Plan ReadPlan() {
  Plan plan;
  FILE* file = fopen("/job", "re");
  if (file == nullptr) Fail("/job");
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;) {
    std::string text(line, static_cast<size_t>(length));
    if (text.back() == '\n') text.pop_back();
    const size_t space = text.find(' ');
    const std::string word = text.substr(0, space);
    const std::string value = space == std::string::npos ? "" : text.substr(space + 1);
    errno = EINVAL;
    if (word == "port") {
      plan.port = value;
    } else if (word == "job") {
      plan.jobs.emplace_back().name = value;
    } else if (plan.jobs.empty()) {
      Fail("no job that this belongs to: " + text);
    } else if (word == "dir") {
      plan.jobs.back().directory = value;
    } else if (word == "env") {
      plan.jobs.back().environment.push_back(value);
    } else if (word == "arg") {
      plan.jobs.back().arguments.push_back(value);
    } else {
      Fail("not understood: " + text);
    }
  }
  free(line);
  fclose(file);
  return plan;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Copies what comes through the pipe to the console until its other end is closed everywhere. With a terminal
// programs would draw their progress.
pid_t StartRelay(int from) {
  const pid_t relay = fork();
  if (relay < 0) Fail("fork");
  if (relay > 0) return relay;
  char buffer[4096];
  for (ssize_t got; (got = read(from, buffer, sizeof(buffer))) > 0;) {
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = write(STDOUT_FILENO, buffer + done, static_cast<size_t>(got - done));
      if (written < 0) _exit(1);
      done += written;
    }
  }
  _exit(0);
}

// Returns its wait status. Orphans that die meanwhile are collected.
int Run(Job& job) {
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) Fail("pipe");
  const pid_t child = fork();
  if (child < 0) Fail("fork");
  if (child == 0) {
    setsid();
    const int none = open("/dev/null", O_RDONLY);
    if (none < 0 || dup2(none, 0) < 0 || dup2(output[1], 1) < 0 || dup2(output[1], 2) < 0)
      _exit(126);
    close(none);
    if (chdir(job.directory.c_str()) != 0) Fail(job.directory);
    std::vector<char*> arguments = Pointers(job.arguments);
    std::vector<char*> environment = Pointers(job.environment);
    execvpe(arguments[0], arguments.data(), environment.data());
    fprintf(stderr, "%s: %s\n", job.arguments[0].c_str(), strerror(errno));
    _exit(127);
  }
  close(output[1]);
  const pid_t relay = StartRelay(output[0]);
  close(output[0]);
  int status = 0;
  bool ended = false;
  bool relayed = false;
  while (!ended || !relayed) {
    int of_this = 0;
    const pid_t pid = wait(&of_this);
    if (pid < 0 && errno != EINTR) Fail("wait");
    if (pid == relay) relayed = true;
    if (pid != child) continue;
    status = of_this;
    ended = true;
    // What the job left running would keep the relay waiting.
    kill(-child, SIGKILL);
  }
  return status;
}

// The port, compressed.
class Port {
 public:
  explicit Port(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC)), context_(ZSTD_createCCtx()) {
    if (fd_ < 0 || context_ == nullptr) Fail(path);
    termios mode{};
    if (tcgetattr(fd_, &mode) != 0) Fail(path);
    cfmakeraw(&mode);
    cfsetspeed(&mode, B115200);
    if (tcsetattr(fd_, TCSANOW, &mode) != 0) Fail(path);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port() {
    ZSTD_freeCCtx(context_);
    close(fd_);
  }

  void Send(const char* data, size_t size) { Compress(data, size, ZSTD_e_continue); }
  void Send(const std::string& text) { Send(text.data(), text.size()); }
  void Finish() {
    Compress(nullptr, 0, ZSTD_e_end);
    if (tcdrain(fd_) != 0) Fail("the port");
  }

 private:
  void Compress(const char* data, size_t size, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in = {data, size, 0};
    for (;;) {
      ZSTD_outBuffer out = {buffer_.data(), buffer_.size(), 0};
      const size_t left = ZSTD_compressStream2(context_, &out, &in, directive);
      errno = EIO;
      if (ZSTD_isError(left)) Fail("compressing");
      for (size_t done = 0; done < out.pos;) {
        const ssize_t written = write(fd_, buffer_.data() + done, out.pos - done);
        if (written < 0) Fail("the port");
        done += static_cast<size_t>(written);
      }
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return;
    }
  }

  int fd_;
  ZSTD_CCtx* context_;
  std::vector<char> buffer_ = std::vector<char>(ZSTD_CStreamOutSize());
};

void SendFile(Port& port, const std::string& path, const std::string& name) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) Fail(path);
  std::string content;
  std::vector<char> buffer(1 << 16);
  for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), file)) > 0;)
    content.append(buffer.data(), got);
  fclose(file);
  port.Send("file " + std::to_string(content.size()) + " " + name + "\n");
  port.Send(content);
}

void SendTree(Port& port, const std::string& path, const std::string& name) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) Fail(path);
  while (const dirent* entry = readdir(directory)) {
    const std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    const std::string child_path = path + "/" + child;
    const std::string child_name = name.empty() ? child : name + "/" + child;
    struct stat info {};
    if (lstat(child_path.c_str(), &info) != 0) Fail(child_path);
    if (S_ISDIR(info.st_mode)) {
      SendTree(port, child_path, child_name);
    } else if (S_ISREG(info.st_mode)) {
      SendFile(port, child_path, child_name);
    }
  }
  closedir(directory);
}

}  // namespace

int main() {
  SetScene();
  Plan plan = ReadPlan();
  std::string statuses;
  for (Job& job : plan.jobs) {
    const int status = Run(job);
    printf("guest: job %s ended with status %#x\n", job.name.c_str(),
           static_cast<unsigned>(status));
    fflush(stdout);
    statuses += "job " + std::to_string(status) + " " + job.name + "\n";
  }
  Port port(plan.port);
  port.Send(statuses);
  SendTree(port, "/out", "");
  port.Send("end\n");
  port.Finish();
  TurnOff();
}
