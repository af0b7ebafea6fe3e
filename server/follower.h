// Follower: attaches a client's engines to what their tasks create, for engines that do not follow
// themselves.
#ifndef SERVER_FOLLOWER_H_
#define SERVER_FOLLOWER_H_

#include <functional>
#include <memory>
#include <vector>

#include "core/engine.h"
#include "server/engine_owner.h"

namespace utrace::server {

class Follower final : public Engine {
 public:
  // Attaches to a new task the engines that are attached to its parent.
  using AttachTo = std::function<void(const std::vector<EngineOwner*>& parents, TaskView child)>;

  // Follows new threads; `processes`: and new processes. The owner is that of its own attachments.
  Follower(std::shared_ptr<EngineOwner> owner, bool processes, AttachTo attach_to)
      : owner_(std::move(owner)), processes_(processes), attach_to_(std::move(attach_to)) {}

  std::string Name() const override { return "follow"; }
  // Zero, or a negative errno. -EEXIST: it was there already.
  int AttachTask(TaskView task, const std::shared_ptr<Follower>& self) const;
  Action OnClone(CloneReport& report) override;
  Action OnDeath(DeathReport&) override { return Action::kDetach; }

 private:
  const std::shared_ptr<EngineOwner> owner_;
  const bool processes_;
  const AttachTo attach_to_;
};

}  // namespace utrace::server

#endif  // SERVER_FOLLOWER_H_
