// The messages of sendmsg and recvmsg.
#ifndef ENGINES_SYSCALL_LOG_DECODE_MESSAGES_H_
#define ENGINES_SYSCALL_LOG_DECODE_MESSAGES_H_

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

void ShowMessageIn(Call& call, uint64_t address);
void ShowMessageOut(Call& call, uint64_t address);
// Arrays of them, of sendmmsg and recvmmsg.
void ShowMessagesIn(Call& call, uint64_t address);
void ShowMessagesOut(Call& call, uint64_t address);

constexpr Type MessageIn{ShowMessageIn};
constexpr Type MessageOut{.show = ShowMessageOut, .when = When::kExit, .on_failure = true};
constexpr Type MessagesIn{ShowMessagesIn};
constexpr Type MessagesOut{ShowMessagesOut, When::kExit};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_MESSAGES_H_
