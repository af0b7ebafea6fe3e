#include "engines/syscall_log/decode/decode_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  utrace::syscall_log::ShowArbitraryCall(data, size);
  return 0;
}
