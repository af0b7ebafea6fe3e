// A whole certification run, from the selection to the certificate: what `utrace certify` does.
#ifndef CONFORMANCE_CERTIFY_CERTIFY_H_
#define CONFORMANCE_CERTIFY_CERTIFY_H_

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/covered_chapters.h"
#include "conformance/certify/selection.h"

namespace utrace::certify {

inline constexpr int kExitUsage = 2;

struct ImplementationOption {
  std::string path;              // the shared object
  std::string reproduce_prefix;  // a shell command that certifies it; takes "--only ID" behind it
};

struct CertifyOptions {
  std::vector<ImplementationOption> implementations;  // one or more
  std::vector<std::string> only;                      // see SelectTests; empty: everything
  std::string report_dir;                             // empty: ./utrace-certificate-<time>
  std::string waivers;                                // a file of waivers.h; empty: none
  std::string junit;                                  // a second copy of junit.xml; empty: none
  int jobs = 2;                                       // tests at a time
  int schedules = 1;     // random ones by which each test of a hosted implementation is run
  std::string schedule;  // or the one by which it is; empty: the implementation's choice
  std::string runner;    // the program that holds the tests
  std::string puppet;    // what it makes its targets from; empty: it finds it itself
  std::string tool_version;
  std::chrono::milliseconds test_deadline{70'000};
  std::chrono::milliseconds probe_deadline{15'000};

  // For tests of the driver itself.
  const ClauseTable* table = &ClauseTable::BuiltIn();
  std::vector<int> covered{std::begin(kCoveredChapters), std::end(kCoveredChapters)};
  FILE* out = stdout;
  FILE* err = stderr;
};

struct CertifyOutcome {
  // 0 pass; 1 failed, or a MUST clause was tested nowhere; 2 usage error; 3 an implementation cannot be
  // loaded, crashes or hangs; 4 the suite could not do its work; 5 passed with waivers.
  int exit_status = 4;
  // Nonzero: the run was ended by this signal, of which the caller should now die itself.
  int signal = 0;
};

// Prints progress and errors to `err`, the summary to `out`. The caller must be single-threaded.
CertifyOutcome Certify(const CertifyOptions& options);

// All tests that the program `runner` holds; false and *error if it does not tell. The caller must be
// single-threaded.
bool ListAllTests(const std::string& runner, const ClauseTable& table, std::vector<TestId>* tests,
                  std::string* error);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_CERTIFY_H_
