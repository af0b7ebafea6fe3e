#include "server/follower.h"

#include "core/look.h"

namespace utrace::server {

int Follower::AttachTask(TaskView task, const std::shared_ptr<Follower>& self) const {
  const OwnerScope scope(owner_.get());
  Result<Attachment> attachment = Attachment::Attach(task, self, Events::kClone | Events::kDeath,
                                                     Attachment::Mode::kUnlessAttached);
  if (!attachment) return attachment.code();
  attachment->Leave();
  return 0;
}

Action Follower::OnClone(CloneReport& report) {
  if (!processes_ && report.child().tgid() != report.task().tgid()) return Action::kResume;
  // What somebody has detached from the parent stays away from its children.
  const TracedTask parent = LookAt(report.task());
  std::vector<EngineOwner*> engines;
  for (const AttachedEngine& engine : parent.engines) {
    EngineOwner* const owner = ToEngineOwner(engine.owner.get());
    if (owner != nullptr && owner->about().kind == EngineOwner::Kind::kEngine) {
      engines.push_back(owner);
    }
  }
  attach_to_(engines, report.child());
  // Fails if the child is dead already, or following is being ended: nothing is left to do.
  (void)report.Follow();
  return Action::kResume;
}

}  // namespace utrace::server
