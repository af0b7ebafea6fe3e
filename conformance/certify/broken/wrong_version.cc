// An implementation whose every function returns zero, utrace_api_version included.
#define UTRACE_BROKEN(name) \
  extern "C" __attribute__((visibility("default"))) long name() { return 0; }
#include "conformance/certify/broken/functions.inc"
