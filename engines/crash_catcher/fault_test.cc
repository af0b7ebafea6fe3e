#include "engines/crash_catcher/fault.h"

#include <sys/user.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace utrace::crash {
namespace {

constexpr uint64_t kCode = 0x401000;

// Code at kCode and nothing else.
class CodeMemory final : public Memory {
 public:
  explicit CodeMemory(std::initializer_list<int> code) {
    for (const int byte : code) code_.push_back(static_cast<std::byte>(byte));
  }
  size_t Read(uint64_t address, std::span<std::byte> bytes) override {
    if (address < kCode || address - kCode >= code_.size()) return 0;
    const size_t count = std::min(bytes.size(), code_.size() - (address - kCode));
    std::copy_n(code_.begin() + static_cast<ptrdiff_t>(address - kCode), count, bytes.begin());
    return count;
  }
  bool gone() const override { return false; }

 private:
  std::vector<std::byte> code_;
};

class FaultTest : public testing::Test {
 protected:
  FaultTest() {
    registers_.rip = kCode;
    registers_.rsp = 0x7ffe00001000;
    snapshot_.pid = 100;
    snapshot_.threads.resize(1);
    snapshot_.mappings = {
        {.start = kCode, .end = kCode + 0x1000, .read = true, .execute = true, .path = "/bin/a"},
        {.start = 0x500000, .end = 0x501000, .read = true, .path = "/bin/a"},
        {.start = 0x7ffe00000000,
         .end = 0x7ffe00002000,
         .read = true,
         .write = true,
         .path = "[stack]"},
    };
  }

  // The sentences as one text.
  std::string Explain(int number, int code, uint64_t address, Memory& memory) {
    siginfo_t info{};
    info.si_signo = number;
    info.si_code = code;
    info.si_addr = reinterpret_cast<void*>(address);
    return Explain(info, memory);
  }
  std::string Explain(const siginfo_t& info, Memory& memory) {
    snapshot_.signal = info;
    std::vector<std::byte>& general = snapshot_.threads[0].registers.general;
    general.resize(sizeof(registers_));
    std::memcpy(general.data(), &registers_, sizeof(registers_));
    std::string text;
    for (const std::string& sentence : ExplainFault(snapshot_, memory)) text += sentence + "\n";
    return text;
  }
  static bool Has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  user_regs_struct registers_{};
  Snapshot snapshot_;
};

TEST_F(FaultTest, AMemberOfANullPointer) {
  CodeMemory memory{0x89, 0x50, 0x08};  // mov [rax + 8], edx
  const std::string text = Explain(SIGSEGV, SEGV_MAPERR, 8, memory);
  EXPECT_TRUE(Has(text, "SEGV_MAPERR: nothing is mapped")) << text;
  EXPECT_TRUE(Has(text, "writing 4 bytes at [rax + 0x8] = 0x8")) << text;
  EXPECT_TRUE(Has(text, "null pointer plus 8")) << text;
}

TEST_F(FaultTest, AReadOfANullPointer) {
  CodeMemory memory{0x8b, 0x03};  // mov eax, [rbx]
  const std::string text = Explain(SIGSEGV, SEGV_MAPERR, 0, memory);
  EXPECT_TRUE(Has(text, "reading 4 bytes at [rbx] = 0x0")) << text;
  EXPECT_TRUE(Has(text, "That is a null pointer.")) << text;
}

TEST_F(FaultTest, AnIndexBeyondTheEndOfAMapping) {
  registers_.rbx = 0x500000;
  registers_.rcx = 0x404;
  CodeMemory memory{0x8b, 0x04, 0x8b};  // mov eax, [rbx + rcx*4]
  const std::string text = Explain(SIGSEGV, SEGV_MAPERR, 0x501010, memory);
  EXPECT_TRUE(Has(text, "[rbx + rcx*4] = 0x501010")) << text;
  EXPECT_TRUE(Has(text, "17 bytes beyond the end of 0x500000-0x501000 r--p /bin/a")) << text;
}

TEST_F(FaultTest, AWriteToReadOnlyMemory) {
  registers_.rax = 0x500010;
  CodeMemory memory{0x89, 0x10};  // mov [rax], edx
  const std::string text = Explain(SIGSEGV, SEGV_ACCERR, 0x500010, memory);
  EXPECT_TRUE(Has(text, "That mapping is read-only.")) << text;
}

TEST_F(FaultTest, AJumpToData) {
  registers_.rip = 0x500010;
  CodeMemory memory{};
  const std::string text = Explain(SIGSEGV, SEGV_ACCERR, 0x500010, memory);
  EXPECT_TRUE(Has(text, "executing code at 0x500010")) << text;
  EXPECT_TRUE(Has(text, "not executable")) << text;
}

TEST_F(FaultTest, TheEndOfTheStack) {
  registers_.rsp = 0x7ffdfffff000;
  CodeMemory memory{0x50};  // push rax
  const std::string text = Explain(SIGSEGV, SEGV_MAPERR, 0x7ffdffffeff8, memory);
  EXPECT_TRUE(Has(text, "writing 8 bytes at the stack")) << text;
  EXPECT_TRUE(Has(text, "Stack overflow: the address is 4104 bytes below the stack")) << text;
}

TEST_F(FaultTest, AGuardPageOfAThreadsStack) {
  snapshot_.mappings.push_back({.start = 0x600000, .end = 0x601000});
  snapshot_.mappings.push_back({.start = 0x601000, .end = 0x701000, .read = true, .write = true});
  registers_.rsp = 0x601000;
  CodeMemory memory{0x50};  // push rax
  const std::string text = Explain(SIGSEGV, SEGV_ACCERR, 0x600ff8, memory);
  EXPECT_TRUE(Has(text, "Stack overflow")) << text;
}

TEST_F(FaultTest, WhatIsNoAddress) {
  registers_.rax = 0x6161616161616161;
  CodeMemory memory{0x8b, 0x40, 0x04};  // mov eax, [rax + 4]
  const std::string text = Explain(SIGSEGV, SI_KERNEL, 0, memory);
  EXPECT_TRUE(Has(text, "[rax + 0x4] is 0x6161616161616165, which is no address")) << text;
}

TEST_F(FaultTest, APrivilegedInstruction) {
  CodeMemory memory{0xf4};  // hlt
  const std::string text = Explain(SIGSEGV, SI_KERNEL, 0, memory);
  EXPECT_TRUE(Has(text, "privileged")) << text;
}

TEST_F(FaultTest, WhoSentIt) {
  CodeMemory memory{};
  siginfo_t info{};
  info.si_signo = SIGQUIT;
  info.si_code = SI_USER;
  info.si_pid = 4711;
  info.si_uid = 1000;
  EXPECT_TRUE(Has(Explain(info, memory), "It was sent by process 4711 of user 1000."));
  info.si_pid = snapshot_.pid;
  EXPECT_TRUE(Has(Explain(info, memory), "The process sent it to itself."));
}

TEST_F(FaultTest, ATimersNumberIsNoSender) {
  CodeMemory memory{};
  siginfo_t info{};
  info.si_signo = SIGQUIT;
  info.si_code = SI_TIMER;
  info.si_timerid = snapshot_.pid;
  EXPECT_EQ(Explain(info, memory), "SI_TIMER: a timer expired.\n");
}

TEST_F(FaultTest, WithoutRegistersTheCodeIsExplainedAllTheSame) {
  CodeMemory memory{};
  siginfo_t info{};
  info.si_signo = SIGFPE;
  info.si_code = FPE_INTDIV;
  snapshot_.signal = info;
  const std::vector<std::string> sentences = ExplainFault(snapshot_, memory);
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_TRUE(Has(sentences[0], "divided by zero"));
}

TEST(Signals, HaveNames) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(SIGRTMIN + 2), "SIGRTMIN+2");
  EXPECT_EQ(SignalNumber("SIGSEGV"), SIGSEGV);
  EXPECT_EQ(SignalNumber("USR2"), SIGUSR2);
  EXPECT_EQ(SignalNumber("11"), 11);
  EXPECT_EQ(SignalNumber("SIGWHAT"), 0);
  EXPECT_EQ(SignalNumber(""), 0);
  EXPECT_EQ(SignalNumber("0"), 0);
  EXPECT_EQ(SignalNumber("65"), 0);
}

}  // namespace
}  // namespace utrace::crash
