// A leader that is traced, and whose id a thread takes that is not: no wait of a tracer tells of that.
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "core/engine.h"
#include "core/linux/command.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

constexpr auto kGuard = std::chrono::seconds(30);
constexpr const char* kTarget = "--target";

// A program that the kernel begins to execute, and of which it cannot load the only part: it has no thread but
// the one that executes by then, which dies at once.
int StillbornProgram() {
  struct {
    Elf64_Ehdr head;
    Elf64_Phdr part;
  } program{};
  const int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (read(self, &program.head, sizeof(program.head)) != sizeof(program.head)) return -1;
  close(self);
  program.head.e_type = ET_EXEC;
  program.head.e_phoff = sizeof(program.head);
  program.head.e_phnum = 1;
  program.part.p_type = PT_LOAD;
  program.part.p_flags = PF_R | PF_X;
  program.part.p_vaddr = uint64_t{1} << 63;  // no user's
  program.part.p_filesz = program.part.p_memsz = sizeof(program);
  const int file = memfd_create("stillborn", MFD_CLOEXEC);
  return write(file, &program, sizeof(program)) == sizeof(program) ? file : -1;
}

int Target(const std::string& mode) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::thread([&mode] {
    if (mode == "lives") {
      execl("/bin/sleep", "sleep", "1000", nullptr);
      _exit(2);
    }
    char* const arguments[] = {const_cast<char*>("stillborn"), nullptr};
    char* const environment[] = {nullptr};
    fexecve(StillbornProgram(), arguments, environment);
    _exit(2);
  }).detach();
  for (;;) pause();
}

class Mourner final : public Engine {
 public:
  Action OnDeath(DeathReport&) override {
    ++deaths_;
    return Action::kResume;
  }
  void OnReap(ReapReport&) override { reaped_.set_value(); }

  std::atomic<int> deaths_ = 0;
  std::promise<void> reaped_;
};

void ExpectReplaced(const char* mode, int status) {
  std::unique_ptr<Command> command;
  std::string error;
  ASSERT_EQ(Command::Start({"/proc/self/exe", kTarget, mode}, &command, &error), 0) << error;
  const auto mourner = std::make_shared<Mourner>();
  auto attachment = Attachment::Attach(command->task(), mourner, Events::kDeath | Events::kReap);
  ASSERT_TRUE(attachment) << attachment.status().ToString();
  ASSERT_EQ(command->Release(), 0);
  EXPECT_EQ(mourner->reaped_.get_future().wait_for(kGuard), std::future_status::ready);
  EXPECT_EQ(mourner->deaths_, 1);
  if (std::string(mode) == "lives") kill(command->pid(), SIGKILL);
  EXPECT_EQ(WTERMSIG(command->Wait()), status);
  mourner->DetachEverywhere();
}

TEST(ReplacedLeader, IsGoneForItsEngines) { ExpectReplaced("lives", SIGKILL); }

// The id's new owner is dead before anybody can have looked.
TEST(ReplacedLeader, IsGoneWhereWhoTookItsIdIsDeadAtOnce) { ExpectReplaced("dies", SIGSEGV); }

}  // namespace
}  // namespace utrace::linux_host

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], utrace::linux_host::kTarget) == 0) {
    return utrace::linux_host::Target(argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
