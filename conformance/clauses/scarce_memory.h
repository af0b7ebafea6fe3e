// Makes memory scarce for the calling thread.
#ifndef CONFORMANCE_CLAUSES_SCARCE_MEMORY_H_
#define CONFORMANCE_CLAUSES_SCARCE_MEMORY_H_

namespace utrace::kit {

// While it lives, the calling thread's allocations (malloc and its kin, hence operator new) fail,
// all but the first `spared`. Other threads are not concerned. Nothing of gtest or of the kit may be
// called meanwhile.
class ScarceMemory {
 public:
  explicit ScarceMemory(int spared = 0);
  ~ScarceMemory();
  ScarceMemory(const ScarceMemory&) = delete;
  ScarceMemory& operator=(const ScarceMemory&) = delete;

  // Allocations refused so far on this thread.
  int refused() const;

  // Whether this build can do it: a sanitizer's allocator cannot be replaced.
  static bool Possible();
};

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_SCARCE_MEMORY_H_
