#include "arch/arch.h"

namespace utrace::arch {

// There are some for memory tags and compat tasks, which read or write neither registers nor memory of ours.
StateAccess MachineRequest(long) { return StateAccess::kOther; }

}  // namespace utrace::arch
