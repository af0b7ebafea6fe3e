// What a puppet's command needs of a host (the names of utrace_target_capabilities).
#ifndef CONFORMANCE_KIT_NEEDS_H_
#define CONFORMANCE_KIT_NEEDS_H_

#include "conformance/puppet/protocol.h"

namespace utrace::kit {

// Null if every host can do it.
const char* NeedOf(const puppet::Command& command);
const char* NeedOfSignal(int signo);

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_NEEDS_H_
