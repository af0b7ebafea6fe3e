// What the puppet cannot say in C++: system calls, its entry, calls after which a child has another stack, and
// instructions whose addresses and registers the kit knows.

#include <sys/syscall.h>

// Layout of struct Shared (protocol.h; checked by static_assert in thread.cc).
#define SHARED 0x10000000
#define IN 16
#define OUT (16 + 384)
#define FLAGS 120
#define VECTOR 128

        .text

        .globl  _start
        .type   _start, %function
_start:
        mov     x29, xzr
        mov     x30, xzr
        mov     x0, sp
        bl      PuppetMain
        udf     #0

// long PuppetSys(long nr, long a0, ..., long a5)
        .globl  PuppetSys
PuppetSys:
        mov     x8, x0
        mov     x0, x1
        mov     x1, x2
        mov     x2, x3
        mov     x3, x4
        mov     x4, x5
        mov     x5, x6
        svc     #0
        ret

// void PuppetSwitchStack(long slot, void* stack_top): runs PuppetRunSlot(slot) there, for ever.
        .globl  PuppetSwitchStack
PuppetSwitchStack:
        mov     sp, x1
        mov     x29, xzr
        bl      PuppetRunSlot
        udf     #0

// long PuppetSpawn(long nr, const long arguments[5], void* stack_top, long slot): the system call;
// the child continues in PuppetRunNewSlot(slot) on its own stack and touches no other, so that this
// serves fork, vfork and threads alike.
        .globl  PuppetSpawn
PuppetSpawn:
        mov     x8, x0
        mov     x9, x1
        mov     x10, x2
        mov     x11, x3
        ldp     x0, x1, [x9]
        ldp     x2, x3, [x9, #16]
        ldr     x4, [x9, #32]
        svc     #0
        cbz     x0, 1f
        ret
1:      mov     sp, x10
        mov     x0, x11
        mov     x29, xzr
        bl      PuppetRunNewSlot
        udf     #0

// long PuppetSpawnExit(long nr, const long arguments[5]): the same for a child that exits at once.
        .globl  PuppetSpawnExit
PuppetSpawnExit:
        mov     x8, x0
        mov     x9, x1
        ldp     x0, x1, [x9]
        ldp     x2, x3, [x9, #16]
        ldr     x4, [x9, #32]
        svc     #0
        cbz     x0, 1f
        ret
1:      mov     x8, #SYS_exit
        mov     x0, #0
        svc     #0
        udf     #0

// Unwinders know a signal frame by these instructions.
        .globl  PuppetRestorer
        nop
PuppetRestorer:
        mov     x8, #SYS_rt_sigreturn
        svc     #0
        udf     #0

// long PuppetSteps()
        .globl  PuppetSteps
PuppetSteps:
        str     x19, [sp, #-16]!
        mov     x19, xzr
        mov     x8, #SYS_getppid
        svc     #0
step0:  add     x19, x19, #1
step1:  nop
step2:  add     x19, x19, #1
step3:  add     x19, x19, #1
step4:  add     x19, x19, #1
step5:  mov     x8, #SYS_getuid
step6:  svc     #0
step7:  add     x19, x19, #1
step8:  add     x19, x19, #1
step9:  add     x19, x19, #1
step10: add     x19, x19, #1
step11: add     x19, x19, #2
step12: mov     x0, x19
        ldr     x19, [sp], #16
        ret

// long PuppetBranches()
        .globl  PuppetBranches
PuppetBranches:
        str     x19, [sp, #-16]!
        mov     x19, xzr
        mov     x8, #SYS_getppid
        svc     #0
branch_start:
        add     x19, x19, #1
        add     x19, x19, #1
        b       branch0
        add     x19, x19, #100
branch0:
        add     x19, x19, #1
        cbz     x19, branch_start       // not taken
        add     x19, x19, #1
        cbnz    x19, branch1
        add     x19, x19, #100
branch1:
        add     x19, x19, #1
        add     x19, x19, #1
        b       branch2
        add     x19, x19, #100
branch2:
        add     x19, x19, #1
        mov     x0, x19
        ldr     x19, [sp], #16
        ret

// Registers 7, which the kernel shows otherwise than it is at stops of system calls, and 16 to 18 are not among
// those of the image.
.macro  load_registers
        mov     x16, #SHARED
        add     x17, x16, #(IN + VECTOR)
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        ldr     q\n, [x17, #(16 * \n)]
        .endr
        ldp     x0, x1, [x16, #(IN + 8 * 0)]
        ldp     x2, x3, [x16, #(IN + 8 * 2)]
        ldp     x4, x5, [x16, #(IN + 8 * 4)]
        ldp     x6, x8, [x16, #(IN + 8 * 6)]
        ldp     x9, x10, [x16, #(IN + 8 * 8)]
        ldp     x11, x12, [x16, #(IN + 8 * 10)]
        ldp     x19, x20, [x16, #(IN + 8 * 12)]
        ldr     x28, [x16, #(IN + 8 * 14)]
.endm

.macro  store_registers
        mov     x16, #SHARED
        add     x16, x16, #OUT
        stp     x0, x1, [x16, #(8 * 0)]
        stp     x2, x3, [x16, #(8 * 2)]
        stp     x4, x5, [x16, #(8 * 4)]
        stp     x6, x8, [x16, #(8 * 6)]
        stp     x9, x10, [x16, #(8 * 8)]
        stp     x11, x12, [x16, #(8 * 10)]
        stp     x19, x20, [x16, #(8 * 12)]
        str     x28, [x16, #(8 * 14)]
        mrs     x17, nzcv
        str     x17, [x16, #FLAGS]
        add     x17, x16, #VECTOR
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        str     q\n, [x17, #(16 * \n)]
        .endr
.endm

// The vectors 8 to 15 have halves that belong to the caller.
.macro  save_registers
        stp     x19, x20, [sp, #-96]!
        str     x28, [sp, #16]
        stp     d8, d9, [sp, #32]
        stp     d10, d11, [sp, #48]
        stp     d12, d13, [sp, #64]
        stp     d14, d15, [sp, #80]
.endm

.macro  restore_registers
        ldp     d14, d15, [sp, #80]
        ldp     d12, d13, [sp, #64]
        ldp     d10, d11, [sp, #48]
        ldp     d8, d9, [sp, #32]
        ldr     x28, [sp, #16]
        ldp     x19, x20, [sp], #96
.endm

// void PuppetRegistersSpin()
        .globl  PuppetRegistersSpin
PuppetRegistersSpin:
        save_registers
        load_registers
registers_spin:
        ldr     w17, [x16]
        cbz     w17, registers_spin
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
        svc     #0
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
