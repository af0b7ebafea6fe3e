// What a certification run recorded: the facts that everything else in a certificate is derived from.
//
// It is kept as results.jsonl, a JSON object a line:
//   {"format":"utrace-results-1", ...}   the run: tool, date, machine, selection, waivers
//   {"host":{...}}                       an implementation, and what its probe told
//   {"test":"ATT_05.Name", ...}          a test of that host, in the order in which they ended
//   {"ended":{...}}                      the end of that host's tests
// The last three repeat for each host. README.md describes every field.
#ifndef CONFORMANCE_CERTIFY_RECORD_H_
#define CONFORMANCE_CERTIFY_RECORD_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/supervise.h"

namespace utrace::certify {

inline constexpr char kRecordFormat[] = "utrace-results-1";

// A clause that the implementer declares not to keep.
struct Waiver {
  std::string clause;  // "CTL-22"
  std::string reason;
};

struct Machine {
  std::string kernel;   // "Linux 6.1.0-18-amd64 #1 SMP ..."
  std::string machine;  // "x86_64"
  std::string host;
  long cpus = 0;
};
// Of this machine.
Machine ThisMachine();

// What the process of one test left behind.
struct Evidence {
  std::string test;  // its id
  SuperviseOutcome end;
  std::string result;   // the content of its result file
  std::string output;   // the last lines that it printed
  std::string log;      // file in the package with all that it printed; empty: not kept
  std::string history;  // file in the package with its recorded history; empty: none
};

struct HostRecord {
  std::string path;                // of the implementation, absolute
  std::string sha256;              // of that file; empty if it could not be tested
  std::string reproduce;           // a shell command that takes "--only ID" behind it
  std::string facts;               // JSON: what its probe told; empty if it could not be tested
  std::string error;               // why it could not be tested; empty if it could
  bool blameless = false;          // with `error`: the suite failed, not the implementation
  std::vector<Evidence> evidence;  // in the order in which the tests ended
  bool ended = false;              // the tests came to an end, by themselves or by a signal
  int signal = 0;                  // with `ended`: the signal that ended the run
  double seconds = 0;              // with `ended`: how long the tests took
};

struct RunRecord {
  std::string tool_version;
  std::string spec_sha256;  // of the specification that was tested against
  std::string date;         // start of the run, UTC, ISO 8601
  Machine machine;
  std::vector<std::string> selection;  // arguments of --only; empty: the whole suite
  std::string schedules;               // of hosted runs: "--schedules 20"; empty: one each
  std::vector<Waiver> waivers;
  std::vector<HostRecord> hosts;
};

// The text of results.jsonl. What is no UTF-8 is replaced in it.
std::string RecordText(const RunRecord& record);

// Reads such a text, of whatever origin: strict in its fields and their types. nullopt, and *error
// names the line and what is wrong with it, for any other text.
std::optional<RunRecord> ParseRecord(std::string_view text, std::string* error);

// `text` with everything replaced that is no UTF-8.
std::string Utf8(const std::string& text);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_RECORD_H_
