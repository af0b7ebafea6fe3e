// What happens when code in the server faults: an engine's, as a rule.
#ifndef SERVER_CRASH_H_
#define SERVER_CRASH_H_

namespace utrace::server {

// From now on a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) tells all clients which engine's callback
// it happened in, and then ends this process by the signal's default action. The kernel lets the tracees
// run on.
void ReportCrashes();

// Clients to be told; safe to call while a crash is reported. False if there are too many.
bool AddClientToTell(int socket);
void RemoveClientToTell(int socket);

}  // namespace utrace::server

#endif  // SERVER_CRASH_H_
