#include "core/linux/filtered_tasks.h"

#include <memory>
#include <string>

#include "core/engine.h"
#include "core/linux/linux_host.h"

namespace utrace::linux_host {
namespace {

// Does nothing but be there.
class Keeper final : public Engine {
 public:
  std::string Name() const override { return "call filter"; }
  Action OnClone(CloneReport& report) override {
    // Fails if the child is dead, or memory is out; even then the host does not let the child go.
    (void)report.Follow();
    return Action::kResume;
  }
};

}  // namespace

int KeepFiltered(TaskView task) {
  static_cast<LinuxTask&>(FromPublic(task.get())->host()).ExpectFilter();
  auto attachment = Attachment::Attach(task, std::make_shared<Keeper>(), Events::kClone);
  if (!attachment) return attachment.code();
  attachment->Leave();
  return 0;
}

}  // namespace utrace::linux_host
