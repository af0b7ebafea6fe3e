// An implementation none of whose functions returns.
#include <unistd.h>

#define UTRACE_BROKEN(name)                                       \
  extern "C" __attribute__((visibility("default"))) void name() { \
    for (;;) pause();                                             \
  }
#include "conformance/certify/broken/functions.inc"
