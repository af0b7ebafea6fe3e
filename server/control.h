// utrace stop, resume, interrupt.
#ifndef SERVER_CONTROL_H_
#define SERVER_CONTROL_H_

#include <functional>
#include <memory>
#include <string>

#include "server/engine_owner.h"
#include "server/protocol.h"
#include "server/targets.h"

namespace utrace::server {

using MakeOwnerFunction =
    std::function<std::shared_ptr<EngineOwner>(EngineOwner::Kind kind, std::string name)>;

// stop: attaches an engine that holds the targets, and stays when its client has gone; waits for a moment
// until they have stopped. resume: lifts every such stop. interrupt: ends the system calls that the
// targets wait in, as a stop signal would, once. Replies: refusals, notes, done with the number of
// threads concerned.
void ControlTasks(const ControlRequest& request, const ClientIdentity& client,
                  const MakeOwnerFunction& make_owner, Answer& answer);

}  // namespace utrace::server

#endif  // SERVER_CONTROL_H_
