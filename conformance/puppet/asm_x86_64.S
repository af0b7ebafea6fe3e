// What the puppet cannot say in C++: system calls, its entry, calls after which a child has another stack, and
// instructions whose addresses and registers the kit knows.

#include <sys/syscall.h>

// Layout of struct Shared (protocol.h; checked by static_assert in thread.cc).
#define SHARED 0x10000000
#define GO (SHARED + 0)
#define IN (SHARED + 16)
#define OUT (SHARED + 16 + 384)
#define FLAGS 120
#define VECTOR 128

        .text

        .globl  _start
        .type   _start, @function
_start:
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    PuppetMain
        hlt

// long PuppetSys(long nr, long a0, ..., long a5)
        .globl  PuppetSys
PuppetSys:
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        syscall
        ret

// void PuppetSwitchStack(long slot, void* stack_top): runs PuppetRunSlot(slot) there, for ever.
        .globl  PuppetSwitchStack
PuppetSwitchStack:
        movq    %rsi, %rsp
        xorl    %ebp, %ebp
        call    PuppetRunSlot
        hlt

// long PuppetSpawn(long nr, const long arguments[5], void* stack_top, long slot): the system call;
// the child continues in PuppetRunNewSlot(slot) on its own stack and touches no other, so that this
// serves fork, vfork and threads alike.
        .globl  PuppetSpawn
PuppetSpawn:
        pushq   %r12
        pushq   %r13
        movq    %rdx, %r12
        movq    %rcx, %r13
        movq    %rdi, %rax
        movq    %rsi, %r9
        movq    0(%r9), %rdi
        movq    8(%r9), %rsi
        movq    16(%r9), %rdx
        movq    24(%r9), %r10
        movq    32(%r9), %r8
        syscall
        testq   %rax, %rax
        jz      1f
        popq    %r13
        popq    %r12
        ret
1:      movq    %r12, %rsp
        movq    %r13, %rdi
        xorl    %ebp, %ebp
        call    PuppetRunNewSlot
        hlt

// long PuppetSpawnExit(long nr, const long arguments[5]): the same for a child that exits at once.
        .globl  PuppetSpawnExit
PuppetSpawnExit:
        movq    %rdi, %rax
        movq    %rsi, %r9
        movq    0(%r9), %rdi
        movq    8(%r9), %rsi
        movq    16(%r9), %rdx
        movq    24(%r9), %r10
        movq    32(%r9), %r8
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:      movl    $SYS_exit, %eax
        xorl    %edi, %edi
        syscall
        hlt

// Unwinders know a signal frame by these bytes.
        .globl  PuppetRestorer
        nop
PuppetRestorer:
        movq    $SYS_rt_sigreturn, %rax
        syscall
        hlt

// long PuppetSteps()
        .globl  PuppetSteps
PuppetSteps:
        pushq   %rbx
        xorl    %ebx, %ebx
        movl    $SYS_getppid, %eax
        syscall
step0:  incq    %rbx
step1:  nop
step2:  incq    %rbx
step3:  leaq    1(%rbx), %rbx
step4:  incq    %rbx
step5:  movl    $SYS_getuid, %eax
step6:  syscall
step7:  incq    %rbx
step8:  incq    %rbx
step9:  incq    %rbx
step10: incq    %rbx
step11: addq    $2, %rbx
step12: movq    %rbx, %rax
        popq    %rbx
        ret

// long PuppetBranches()
        .globl  PuppetBranches
PuppetBranches:
        pushq   %rbx
        xorl    %ebx, %ebx
        movl    $SYS_getppid, %eax
        syscall
branch_start:
        incq    %rbx
        incq    %rbx
        jmp     branch0
        addq    $100, %rbx
branch0:
        incq    %rbx
        testq   %rbx, %rbx
        jz      branch_start            // not taken
        incq    %rbx
        jnz     branch1
        addq    $100, %rbx
branch1:
        incq    %rbx
        incq    %rbx
        jmp     branch2
        addq    $100, %rbx
branch2:
        incq    %rbx
        movq    %rbx, %rax
        popq    %rbx
        ret

.macro  load_registers
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqu  (IN + VECTOR + 16 * \n), %xmm\n
        .endr
        movq    (IN + 8 * 0), %rax
        movq    (IN + 8 * 1), %rbx
        movq    (IN + 8 * 2), %rcx
        movq    (IN + 8 * 3), %rdx
        movq    (IN + 8 * 4), %rsi
        movq    (IN + 8 * 5), %rdi
        movq    (IN + 8 * 6), %rbp
        movq    (IN + 8 * 7), %r8
        movq    (IN + 8 * 8), %r9
        movq    (IN + 8 * 9), %r10
        movq    (IN + 8 * 10), %r11
        movq    (IN + 8 * 11), %r12
        movq    (IN + 8 * 12), %r13
        movq    (IN + 8 * 13), %r14
        movq    (IN + 8 * 14), %r15
.endm

.macro  store_registers
        movq    %rax, (OUT + 8 * 0)
        movq    %rbx, (OUT + 8 * 1)
        movq    %rcx, (OUT + 8 * 2)
        movq    %rdx, (OUT + 8 * 3)
        movq    %rsi, (OUT + 8 * 4)
        movq    %rdi, (OUT + 8 * 5)
        movq    %rbp, (OUT + 8 * 6)
        movq    %r8, (OUT + 8 * 7)
        movq    %r9, (OUT + 8 * 8)
        movq    %r10, (OUT + 8 * 9)
        movq    %r11, (OUT + 8 * 10)
        movq    %r12, (OUT + 8 * 11)
        movq    %r13, (OUT + 8 * 12)
        movq    %r14, (OUT + 8 * 13)
        movq    %r15, (OUT + 8 * 14)
        pushfq
        popq    (OUT + FLAGS)
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqu  %xmm\n, (OUT + VECTOR + 16 * \n)
        .endr
.endm

.macro  save_registers
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
.endm

.macro  restore_registers
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
.endm

// void PuppetRegistersSpin()
        .globl  PuppetRegistersSpin
PuppetRegistersSpin:
        save_registers
        load_registers
registers_spin:
        cmpl    $0, (GO)
        je      registers_spin
registers_spin_end:
        store_registers
        restore_registers
        ret

// void PuppetRegistersSyscall()
        .globl  PuppetRegistersSyscall
PuppetRegistersSyscall:
        save_registers
        load_registers
registers_syscall:
        syscall
registers_syscall_end:
        store_registers
        restore_registers
        ret

        .section .rodata
        .globl  PuppetAddresses         // in the order of struct Addresses
        .balign 8
PuppetAddresses:
        .quad   step0, step1, step2, step3, step4, step5, step6
        .quad   step7, step8, step9, step10, step11, step12
        .quad   branch_start, branch0, branch1, branch2
        .quad   registers_spin, registers_spin_end, registers_syscall, registers_syscall_end
        .quad   PuppetHandler, PuppetRestorer, PuppetMemory, PuppetReadOnly
        .quad   0x0f000000              // unmapped: between the program and the shared memory
        .quad   _start

        .section .note.GNU-stack, "", @progbits
