// What the system calls of the model do. Results are raw: a negative errno, -ERESTART... included.
#ifndef CORE_MODEL_KERNEL_CALLS_H_
#define CORE_MODEL_KERNEL_CALLS_H_

#include <cstdint>

namespace utrace::model {

class Thread;

// Arguments are those in the thread's registers.
int64_t Wait4(Thread& thread);
int64_t WaitId(Thread& thread);
int64_t SleepCall(Thread& thread, long number);  // all calls that only wait
int64_t SignalCall(Thread& thread, long number);
// Whether those two serve the call.
bool IsSleepCall(long number);
bool IsSignalCall(long number);

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_CALLS_H_
