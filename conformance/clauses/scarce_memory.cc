#include "conformance/clauses/scarce_memory.h"

#include <errno.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UTRACE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UTRACE_SANITIZED 1
#endif
#endif

namespace utrace::kit {
namespace {

struct Scarcity {
  bool on = false;
  int spared = 0;
  int refused = 0;
};
// Constant-initialised, so that looking at it never allocates.
thread_local constinit Scarcity scarcity;

#ifndef UTRACE_SANITIZED
bool Refuse() {
  if (!scarcity.on) return false;
  if (scarcity.spared > 0) {
    --scarcity.spared;
    return false;
  }
  ++scarcity.refused;
  errno = ENOMEM;
  return true;
}
#endif

}  // namespace

ScarceMemory::ScarceMemory(int spared) { scarcity = {true, spared, 0}; }
ScarceMemory::~ScarceMemory() { scarcity.on = false; }
int ScarceMemory::refused() const { return scarcity.refused; }

#ifdef UTRACE_SANITIZED
bool ScarceMemory::Possible() { return false; }
#else
bool ScarceMemory::Possible() { return true; }
#endif

}  // namespace utrace::kit

#ifndef UTRACE_SANITIZED
// The program's definitions come before the C library's for every object in the process, also for an
// implementation that was loaded later.
extern "C" {

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

__attribute__((visibility("default"))) void* malloc(size_t size) noexcept {
  return utrace::kit::Refuse() ? nullptr : __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t size) noexcept {
  return utrace::kit::Refuse() ? nullptr : __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* old, size_t size) noexcept {
  return utrace::kit::Refuse() ? nullptr : __libc_realloc(old, size);
}
__attribute__((visibility("default"))) void* memalign(size_t alignment, size_t size) noexcept {
  return utrace::kit::Refuse() ? nullptr : __libc_memalign(alignment, size);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t size) noexcept {
  return memalign(alignment, size);
}
__attribute__((visibility("default"))) int posix_memalign(void** result, size_t alignment,
                                                          size_t size) noexcept {
  void* memory = memalign(alignment, size);
  if (memory == nullptr) return ENOMEM;
  *result = memory;
  return 0;
}

}  // extern "C"
#endif
