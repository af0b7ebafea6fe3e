// The machine that this program is built for. The only place that asks the compiler.
#ifndef ARCH_THIS_MACHINE_H_
#define ARCH_THIS_MACHINE_H_

#if defined(__x86_64__)
#include "arch/x86_64/this_machine.h"
#elif defined(__aarch64__)
#include "arch/aarch64/this_machine.h"
#else
#error "utrace knows no machine but x86_64 and aarch64"
#endif

#endif  // ARCH_THIS_MACHINE_H_
