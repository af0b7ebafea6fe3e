// `utrace check` for histories.
#ifndef CONFORMANCE_HISTORY_CHECK_FILE_H_
#define CONFORMANCE_HISTORY_CHECK_FILE_H_

#include <cstdio>
#include <string>

namespace utrace::history {

// Judges the history in the file `path`; prints counts, verdict and breaches with their witnesses to
// `out`, errors to `err`. 0: no breach; 1: a breach; 3: the file cannot be read or is malformed,
// or `out` cannot be written.
int CheckFile(const std::string& path, FILE* out, FILE* err);

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_CHECK_FILE_H_
