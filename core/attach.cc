// Attaching, looking up, and leaving [ATT-*, REF-*].
#include <cerrno>
#include <new>
#include <system_error>

#include "core/task.h"

namespace utrace {

EngineObject* Task::FindMatch(int flags, const utrace_engine_ops* ops, const void* data) {
  if (life_ >= Life::kReaping) return nullptr;
  for (const auto* list : {&engines_, &arriving_}) {
    for (EngineObject* engine : *list) {
      if (engine->state != EngineObject::State::kAttached) continue;
      if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) continue;
      if ((flags & UTRACE_ATTACH_MATCH_DATA) != 0 && engine->data != data) continue;
      return engine;
    }
  }
  return nullptr;
}

bool Task::Insert(EngineObject& engine) {
  // A report walks engines_ and must not see it change; who comes meanwhile waits [ATT-14]. The
  // second list's room in the first is reserved here, where failure can still be told [ATT-09].
  try {
    engines_.reserve(engines_.size() + arriving_.size() + 1);
    if (in_pass_) {
      arriving_.push_back(&engine);
    } else {
      engines_.push_back(&engine);
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  engine.Joined();
  engine.Ref();
  return true;
}

int Task::AdoptOrNoMemory(std::string* error) {
  try {
    return host_->Adopt(error);
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  } catch (const std::system_error&) {  // a thread that could not be started
    return -ENOMEM;
  }
}

EngineObject* Task::Attach(int flags, const utrace_engine_ops* ops, void* data, int* status,
                           std::string* error) {
  constexpr int kKnown = UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS |
                         UTRACE_ATTACH_MATCH_DATA;
  *status = 0;
  if ((flags & ~kKnown) != 0) {
    *status = -EINVAL;
    return nullptr;
  }
  if ((flags & UTRACE_ATTACH_CREATE) == 0) {
    MutexLock lock(mutex_);
    EngineObject* found = FindMatch(flags, ops, data);
    if (found == nullptr) {
      *status = -ENOENT;
    } else {
      found->Ref();
    }
    return found;
  }
  if (ops == nullptr) {
    *status = -EINVAL;
    return nullptr;
  }
  if (host_->IsKernelThread()) {
    *status = -EPERM;
    *error = "thread " + std::to_string(host_->tid()) +
             " belongs to the kernel and has no user mode to trace; choose a user thread";
    return nullptr;
  }
  EngineObject* engine = nullptr;
  try {
    engine = new EngineObject(this, ops, data);
  } catch (const std::bad_alloc&) {
    *status = -ENOMEM;
    return nullptr;
  }

  bool adopted_for_nothing = false;
  {
    MutexLock lock(mutex_);
    ++attaching_;
    for (;;) {
      if (life_ >= Life::kReaping) {
        *status = -ESRCH;
        break;
      }
      if (newborn_of_ != nullptr && newborn_of_ != Current()) {
        if (WaitForChange(lock) == WaitResult::kInterrupted && newborn_of_ != nullptr) {
          *status = -UTRACE_ERESTARTNOINTR;
          break;
        }
        continue;
      }
      if (!adopted_) {
        lock.unlock();
        const int adopted = AdoptOrNoMemory(error);
        lock.lock();
        if (adopted < 0) {
          *status = adopted;
          break;
        }
        continue;
      }
      if (life_ != Life::kAlive) {
        // The parent may have reaped it, and the host not have heard of it yet, were it because the
        // death report still runs [ATT-10].
        lock.unlock();
        const bool exists = host_->Exists();
        lock.lock();
        if (!exists || life_ >= Life::kReaping) {
          *status = -ESRCH;
          break;
        }
      }
      if ((flags & UTRACE_ATTACH_EXCLUSIVE) != 0 && FindMatch(flags, ops, data) != nullptr) {
        *status = -EEXIST;
      } else if (!Insert(*engine)) {
        *status = -ENOMEM;
      }
      break;
    }
    --attaching_;
    adopted_for_nothing = *status != 0 && adopted_ && engines_.empty() && arriving_.empty();
  }
  if (*status == 0) return engine;
  engine->Unref();
  // The host may let the task go again.
  if (adopted_for_nothing) host_->InterestChanged(0);
  return nullptr;
}

void Task::RemoveDetached(std::vector<EngineObject*>& removed) {
  const auto leave = [&removed](std::vector<EngineObject*>& list) {
    auto kept = list.begin();
    for (EngineObject* engine : list) {
      if (engine->state == EngineObject::State::kDetached) {
        removed.push_back(engine);
      } else {
        *kept++ = engine;
      }
    }
    list.erase(kept, list.end());
  };
  leave(engines_);
  leave(arriving_);
}

void Task::DropAll(const std::vector<EngineObject*>& engines) {
  for (EngineObject* engine : engines) {
    engine->Left();
    engine->Unref();
  }
}

}  // namespace utrace
