// The model as a host of the core (core/host.h).
#ifndef CORE_MODEL_KERNEL_HOST_H_
#define CORE_MODEL_KERNEL_HOST_H_

#include <memory>

#include "core/host.h"

namespace utrace::model {

class Thread;

std::unique_ptr<HostTask> MakeHostTask(std::shared_ptr<Thread> thread);

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_HOST_H_
