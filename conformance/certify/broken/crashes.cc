// An implementation whose every function crashes.
#include <signal.h>

#define UTRACE_BROKEN(name) \
  extern "C" __attribute__((visibility("default"))) void name() { raise(SIGSEGV); }
#include "conformance/certify/broken/functions.inc"
