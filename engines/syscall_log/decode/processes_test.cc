// Processes, memory, signals, time.
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>

#include "engines/syscall_log/decode/decode_testing.h"
#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/text_renderer.h"

namespace utrace::syscall_log {
namespace {

using Processes = DecodeTest;

TEST_F(Processes, Exec) {
  const uint64_t path = memory_.PutText("/usr/bin/ls");
  const uint64_t one = memory_.PutText("ls");
  const uint64_t two = memory_.PutText("-l");
  const uint64_t argv = memory_.PutArray(std::vector<uint64_t>{one, two, 0});
  const uint64_t envp = memory_.PutArray(std::vector<uint64_t>{one, 0});
  EXPECT_EQ(Show("execve", {path, argv, envp}),
            "execve(\"/usr/bin/ls\", [\"ls\", \"-l\"], 0x18000 /* 1 var */) = 0");
  style_.verbose = true;
  EXPECT_EQ(Show("execve", {path, argv, envp}),
            "execve(\"/usr/bin/ls\", [\"ls\", \"-l\"], [\"ls\"]) = 0");
  EXPECT_EQ(Json("execve", {path, argv, 0}, Failed(ENOENT)),
            R"({"args":{"path":"/usr/bin/ls","argv":["ls","-l"],"envp":null},"error":"ENOENT"})");
}

TEST_F(Processes, Wait) {
  const uint64_t status = memory_.PutObject(3 << 8);
  EXPECT_EQ(Show("wait4", {Minus(1), status, WNOHANG, 0}, Returned(42)),
            "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 42");
  EXPECT_EQ(Show("wait4", {Minus(1), status, WNOHANG, 0}, Returned(0)),
            "wait4(-1, 0x10000, WNOHANG, NULL) = 0");
  memory_.Change(status, SIGSEGV | 0x80);
  EXPECT_EQ(Show("wait4", {42, status, 0, 0}, Returned(42)),
            "wait4(42, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = "
            "42");
  EXPECT_EQ(Json("wait4", {42, status, 0, 0}, Returned(42)),
            R"({"args":{"pid":42,"status":{"killed":"SIGSEGV","core_dumped":true},"options":[],)"
            R"("rusage":null},"result":42})");
  EXPECT_EQ(Show("exit_group", {7}), "exit_group(7) = 0");
}

#ifdef __x86_64__
TEST_F(Processes, Clone) {
  EXPECT_EQ(
      Show("clone", {CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, 0, 0, 0x7f0000001000, 0},
           Returned(42)),
      "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, "
      "child_tidptr=0x7f0000001000) = 42");
}
#endif

TEST_F(Processes, Clone3) {
  const uint64_t tid = memory_.PutObject(0);
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_THREAD | CLONE_PARENT_SETTID;
  arguments.parent_tid = tid;
  arguments.stack = 0x1000;
  arguments.stack_size = 0x2000;
  const uint64_t address = memory_.PutObject(arguments);
  EXPECT_EQ(Show("clone3", {address, sizeof(arguments)}, Returned(42), Format::kText,
                 [&] { memory_.Change(tid, 42); }),
            "clone3({flags=CLONE_VM|CLONE_THREAD|CLONE_PARENT_SETTID, parent_tid=[42], "
            "exit_signal=0, stack=0x1000, stack_size=0x2000}, 88) = 42");
}

TEST_F(Processes, Futex) {
  EXPECT_EQ(Show("futex", {0x1000, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1}, Returned(1)),
            "futex(0x1000, FUTEX_WAKE_PRIVATE, 1) = 1");
  const uint64_t second = memory_.PutObject(timespec{1, 5});
  EXPECT_EQ(Show("futex", {0x1000, FUTEX_WAIT, 2, second}, Failed(EAGAIN)),
            "futex(0x1000, FUTEX_WAIT, 2, {tv_sec=1, tv_nsec=5}) = -1 EAGAIN (Resource "
            "temporarily unavailable)");
  EXPECT_EQ(Show("futex", {0x1000, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 0,
                           0, 0, FUTEX_BITSET_MATCH_ANY}),
            "futex(0x1000, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, "
            "FUTEX_BITSET_MATCH_ANY) = 0");
  EXPECT_EQ(Show("futex", {0x1000, FUTEX_CMP_REQUEUE, 1, 7, 0x2000, 3}, Returned(1)),
            "futex(0x1000, FUTEX_CMP_REQUEUE, 1, 7, 0x2000, 3) = 1");
}

TEST_F(Processes, Memory) {
  EXPECT_EQ(
      Show("mmap", {0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, Minus(1), 0},
           Returned(0x7f0000000000)),
      "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
      "0x7f0000000000");
  EXPECT_EQ(Show("mmap", {0, 1 << 21, PROT_NONE, MAP_SHARED | MAP_HUGETLB | (21U << 26), 3, 0x1000},
                 Failed(ENOMEM)),
            "mmap(NULL, 2097152, PROT_NONE, MAP_SHARED|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, 3, 0x1000) "
            "= -1 ENOMEM (Cannot allocate memory)");
  EXPECT_EQ(Show("madvise", {0x1000, 4096, MADV_DONTNEED}),
            "madvise(0x1000, 4096, MADV_DONTNEED) = 0");
  EXPECT_EQ(Show("mremap", {0x1000, 1, 2, MREMAP_MAYMOVE, 99}, Returned(0x2000)),
            "mremap(0x1000, 1, 2, MREMAP_MAYMOVE) = 0x2000");
}

TEST_F(Processes, Limits) {
  const rlimit limits{.rlim_cur = 8192 * 1024, .rlim_max = RLIM_INFINITY};
  const uint64_t address = memory_.PutObject(limits);
  EXPECT_EQ(Show("prlimit64", {0, RLIMIT_STACK, 0, address}),
            "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = "
            "0");
  EXPECT_EQ(Json("prlimit64", {0, RLIMIT_STACK, 0, address}),
            R"({"args":{"pid":0,"resource":"RLIMIT_STACK","new_rlim":null,)"
            R"("old_rlim":{"rlim_cur":8388608,"rlim_max":"RLIM64_INFINITY"}},"result":0})");
}

TEST_F(Processes, Prctl) {
  const uint64_t name = memory_.PutText("worker");
  EXPECT_EQ(Show("prctl", {PR_SET_NAME, name}), "prctl(PR_SET_NAME, \"worker\") = 0");
  EXPECT_EQ(Show("prctl", {PR_SET_PDEATHSIG, SIGKILL}), "prctl(PR_SET_PDEATHSIG, SIGKILL) = 0");
  EXPECT_EQ(Show("prctl", {PR_CAPBSET_READ, 21}, Returned(1)),
            "prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) = 1");
}

TEST_F(Processes, Ptrace) {
  // PTRACE_SETOPTIONS and PTRACE_PEEKDATA.
  EXPECT_EQ(Show("ptrace", {0x4200, 42, 0, 0x100001}),
            "ptrace(PTRACE_SETOPTIONS, 42, NULL, PTRACE_O_TRACESYSGOOD|PTRACE_O_EXITKILL) = 0");
  EXPECT_EQ(Show("ptrace", {2, 42, 0x1000, 0x2000}),
            "ptrace(PTRACE_PEEKDATA, 42, 0x1000, 0x2000) = 0");
}

TEST_F(Processes, Signals) {
  EXPECT_EQ(Show("kill", {42, SIGTERM}), "kill(42, SIGTERM) = 0");
  EXPECT_EQ(Show("tgkill", {1, 2, 34}), "tgkill(1, 2, SIGRT_2) = 0");
  EXPECT_EQ(Show("kill", {42, 0}), "kill(42, 0) = 0");
  const uint64_t some =
      memory_.PutObject(uint64_t{1} << (SIGINT - 1) | uint64_t{1} << (SIGCHLD - 1));
  const uint64_t most = memory_.PutObject(~(uint64_t{1} << (SIGKILL - 1) | uint64_t{1} << 31));
  EXPECT_EQ(Show("rt_sigprocmask", {SIG_BLOCK, some, most, 8}),
            "rt_sigprocmask(SIG_BLOCK, [INT CHLD], ~[KILL RTMIN], 8) = 0");
  EXPECT_EQ(
      Json("rt_sigprocmask", {SIG_BLOCK, some, most, 8}),
      R"({"args":{"how":"SIG_BLOCK","set":["INT","CHLD"],"oldset":{"all_but":["KILL","RTMIN"]},)"
      R"("sigsetsize":8},"result":0})");
  EXPECT_EQ(Show("rt_sigtimedwait", {some, 0, 0, 8}, Returned(SIGCHLD)),
            "rt_sigtimedwait([INT CHLD], NULL, NULL, 8) = 17 (SIGCHLD)");
}

#ifdef __x86_64__
TEST_F(Processes, Sigaction) {
  const uint64_t action = memory_.PutArray(std::vector<uint64_t>{
      0x401000, SA_RESTART | 0x04000000, 0x402000, uint64_t{1} << (SIGINT - 1)});
  const uint64_t old = memory_.PutArray(std::vector<uint64_t>{0, 0, 0, 0});
  EXPECT_EQ(Show("rt_sigaction", {SIGINT, action, old, 8}),
            "rt_sigaction(SIGINT, {sa_handler=0x401000, sa_mask=[INT], "
            "sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x402000}, {sa_handler=SIG_DFL, "
            "sa_mask=[], sa_flags=0}, 8) = 0");
}
#endif

std::string ShownInfo(const siginfo_t& info) {
  Text text;
  TextRenderer renderer(text);
  PutSiginfo(renderer, info);
  return fmt::to_string(text);
}

TEST(Siginfo, SaysWhereASignalComesFrom) {
  siginfo_t child{};
  child.si_signo = SIGCHLD;
  child.si_code = CLD_EXITED;
  child.si_pid = 17;
  child.si_uid = 1000;
  child.si_status = 3;
  EXPECT_EQ(ShownInfo(child),
            "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=17, si_uid=1000, si_status=3, "
            "si_utime=0, si_stime=0}");
  child.si_code = CLD_KILLED;
  child.si_status = SIGKILL;
  EXPECT_NE(ShownInfo(child).find("si_code=CLD_KILLED, si_pid=17, si_uid=1000, si_status=SIGKILL"),
            std::string::npos);

  siginfo_t fault{};
  fault.si_signo = SIGSEGV;
  fault.si_code = SEGV_MAPERR;
  fault.si_addr = reinterpret_cast<void*>(0x10);
  EXPECT_EQ(ShownInfo(fault), "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x10}");

  siginfo_t queued{};
  queued.si_signo = 35;
  queued.si_code = SI_QUEUE;
  queued.si_pid = 5;
  queued.si_uid = 6;
  queued.si_value.sival_ptr = reinterpret_cast<void*>(0x2a);
  EXPECT_EQ(ShownInfo(queued),
            "{si_signo=SIGRT_3, si_code=SI_QUEUE, si_pid=5, si_uid=6, si_value={int=42, "
            "ptr=0x2a}}");

  siginfo_t kernel{};
  kernel.si_signo = SIGSEGV;
  kernel.si_code = SI_KERNEL;
  EXPECT_EQ(ShownInfo(kernel), "{si_signo=SIGSEGV, si_code=SI_KERNEL}");
  EXPECT_EQ(ShownInfo(siginfo_t{}), "{}");
}

TEST_F(Processes, Sleep) {
  const uint64_t asked = memory_.PutObject(timespec{2, 0});
  const uint64_t left = memory_.PutObject(timespec{1, 5});
  EXPECT_EQ(Show("nanosleep", {asked, left}), "nanosleep({tv_sec=2, tv_nsec=0}, 0x12000) = 0");
  EXPECT_EQ(Show("nanosleep", {asked, left}, Failed(EINTR)),
            "nanosleep({tv_sec=2, tv_nsec=0}, {tv_sec=1, tv_nsec=5}) = -1 EINTR (Interrupted "
            "system call)");
  EXPECT_EQ(Show("clock_nanosleep", {CLOCK_MONOTONIC, TIMER_ABSTIME, asked, 0}),
            "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=2, tv_nsec=0}, NULL) = 0");
}

TEST_F(Processes, RestartedCalls) {
  EXPECT_EQ(Show("pause", {}, Failed(514)),
            "pause() = ? ERESTARTNOHAND (To be restarted if no handler)");
  EXPECT_EQ(Show("read", {0, 0, 1}, Failed(512)),
            "read(0, NULL, 1) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)");
  EXPECT_EQ(Json("pause", {}, Failed(514)),
            R"({"args":{},"error":"ERESTARTNOHAND","restarts":true})");
  EXPECT_EQ(Show("pause", {}, Failed(4000)), "pause() = -1 errno 4000");

  // The call that goes on is named by the one before.
  const uint64_t asked = memory_.PutObject(timespec{2, 0});
  const Surroundings surroundings{memory_, descriptors_, style_};
  ShownCall call(Format::kText);
  call.Enter(seccomp_syscall_resolve_name("nanosleep"), {asked, 0}, surroundings);
  call.Exit(Failed(516), surroundings);
  for (int again = 0; again < 2; ++again) {
    call.Enter(seccomp_syscall_resolve_name("restart_syscall"), {}, surroundings);
    Text text;
    call.AppendArguments(text);
    EXPECT_EQ(fmt::to_string(text), "<... resuming interrupted nanosleep ...>");
    EXPECT_EQ(call.resumed_name(), "nanosleep");
    call.Exit(Failed(again == 0 ? 516 : 4), surroundings);
  }
  call.Enter(seccomp_syscall_resolve_name("restart_syscall"), {}, surroundings);
  EXPECT_EQ(call.resumed_name(), "");
}

TEST_F(Processes, CallsWithoutADecoder) {
  EXPECT_EQ(Show("afs_syscall", {1, 0xffff, 0, 0, 0, 5}, Failed(ENOSYS)),
            "afs_syscall(0x1, 0xffff, 0, 0, 0, 0x5) = -1 ENOSYS (Function not implemented)");
  EXPECT_EQ(Json("afs_syscall", {1}),
            R"({"args":{"arg1":1,"arg2":0,"arg3":0,"arg4":0,"arg5":0,"arg6":0},"result":0})");
}

TEST_F(Processes, ArgumentsThatAreCertain) {
  const Surroundings surroundings{memory_, descriptors_, style_};
  ShownCall call(Format::kText);
  const auto shown = [&](size_t first, size_t last) {
    Text text;
    call.AppendArguments(text, first, last);
    return fmt::to_string(text);
  };
  call.Enter(seccomp_syscall_resolve_name("read"), {3, 0, 10}, surroundings);
  EXPECT_EQ(call.CertainArguments(), 1u);
  EXPECT_EQ(shown(0, 1), "3");
  call.Exit(Returned(0), surroundings);
  EXPECT_EQ(shown(1, 6), ", NULL, 10");
  call.Enter(seccomp_syscall_resolve_name("close"), {3}, surroundings);
  EXPECT_EQ(call.CertainArguments(), 6u);
}

}  // namespace
}  // namespace utrace::syscall_log
