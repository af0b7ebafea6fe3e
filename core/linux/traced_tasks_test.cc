#include "core/linux/traced_tasks.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "core/engine.h"
#include "core/linux/command.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

class Client final : public Owner {
 public:
  // Waits until the last attachment ended.
  void WaitUntilNoneLeft() { none_left_.wait(false); }

 private:
  void OnNoneLeft() override {
    none_left_ = true;
    none_left_.notify_all();
  }
  std::atomic<bool> none_left_ = false;
};

// Follows, and notes whom its callbacks and its attachments belong to.
class Follower final : public Engine {
 public:
  explicit Follower(Owner* owner) : owner_(owner) {}
  Action OnClone(CloneReport& report) override {
    if (OwnerScope::Current() != owner_) ++wrong_;
    const Status status = report.Follow();
    const TracedTask child = LookAt(report.child());
    if (!status.ok() || child.engines.size() != 1 || child.engines[0].owner.get() != owner_) {
      ++wrong_;
    }
    ++followed_;
    return Action::kResume;
  }
  Action OnDeath(DeathReport&) override { return Action::kDetach; }
  int wrong() const { return wrong_; }
  int followed() const { return followed_; }

 private:
  Owner* const owner_;
  std::atomic<int> wrong_ = 0;
  std::atomic<int> followed_ = 0;
};

std::unique_ptr<Command> Start(const std::string& script) {
  std::unique_ptr<Command> command;
  std::string error;
  EXPECT_EQ(Command::Start({"/bin/sh", "-c", script}, &command, &error), 0) << error;
  return command;
}

TEST(Owner, IsInheritedByWhatACallbackAttachesAndToldWhenNoneIsLeft) {
  const auto client = std::make_shared<Client>();
  const auto engine = std::make_shared<Follower>(client.get());
  const auto command = Start("(exit 0); (exit 0); :");
  ASSERT_NE(command, nullptr);
  {
    const OwnerScope scope(client.get());
    auto attachment = Attachment::Attach(command->task(), engine, Events::kClone | Events::kDeath);
    ASSERT_TRUE(attachment) << attachment.status().ToString();
    attachment->Leave();
  }
  EXPECT_EQ(OwnerScope::Current(), nullptr);
  EXPECT_EQ(client->attachments(), 1U);
  ASSERT_EQ(command->Release(), 0);
  EXPECT_EQ(command->Wait(), 0);
  client->WaitUntilNoneLeft();
  EXPECT_EQ(client->attachments(), 0U);
  EXPECT_EQ(engine->wrong(), 0);
  EXPECT_EQ(engine->followed(), 2);
}

TEST(TracedTasks, ShowWhatIsAttached) {
  const auto client = std::make_shared<Client>();
  const auto engine = std::make_shared<Follower>(client.get());
  const auto command = Start(":");
  ASSERT_NE(command, nullptr);
  const auto find = [&]() -> TracedTask {
    for (TracedTask& task : TracedTasks()) {
      if (task.task.tid() == command->pid()) return std::move(task);
    }
    return {};
  };
  EXPECT_FALSE(find().task);
  auto nobodys = Attachment::Attach(command->task(), engine, Events::kClone);
  ASSERT_TRUE(nobodys);
  ASSERT_EQ(nobodys->Control(Action::kStop).code(), -EINPROGRESS);
  const OwnerScope scope(client.get());
  auto clients = Attachment::Attach(command->task(), engine, Events::kExec);
  ASSERT_TRUE(clients);

  const TracedTask seen = find();
  ASSERT_EQ(seen.engines.size(), 2U);
  EXPECT_EQ(seen.interest, Events::kClone | Events::kExec | Events::kReap);
  EXPECT_FALSE(seen.dead);
  EXPECT_EQ(seen.engines[0].engine, nobodys->handle());
  EXPECT_EQ(seen.engines[0].owner, nullptr);
  EXPECT_TRUE(seen.engines[0].stops);
  EXPECT_EQ(seen.engines[1].owner, client);
  EXPECT_EQ(seen.engines[1].events, Events::kExec);
  EXPECT_FALSE(seen.engines[1].stops);

  nobodys = Attachment();
  clients = Attachment();
  EXPECT_FALSE(find().task);
  ASSERT_EQ(command->Release(), 0);
  EXPECT_EQ(command->Wait(), 0);
}

}  // namespace
}  // namespace utrace::linux_host
