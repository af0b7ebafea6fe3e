// `utrace merge` and `utrace check` for certificates of many machines in one (merged.h).
#ifndef CONFORMANCE_CERTIFY_MERGE_H_
#define CONFORMANCE_CERTIFY_MERGE_H_

#include <cstdio>
#include <string>
#include <vector>

#include "conformance/certify/package.h"

namespace utrace::certify {

// Merges the certificates that are the directories `parts` into the directory `out`, which is made, or
// empty. It appears whole or not at all. Each part has to be what a whole run of this suite left; it need
// not be a pass. Prints the verdict to `out_stream`, what is wrong to `err`. Returns the exit status: that
// of a run with the verdict of the worst part (report.h); 2 if parts are rejected, and nothing was
// written; 4 if the result cannot be written.
int MergeCertificates(const Suite& suite, const std::vector<std::string>& parts,
                      const std::string& out, FILE* out_stream, FILE* err);

// Whether `path` is something for CheckMerged: the directory of merged certificates, or its merged.json.
bool IsMerged(const std::string& path);

// As CheckCertificate (check.h): checks each part, and derives again what follows from them.
int CheckMerged(const Suite& suite, const std::string& path, FILE* out, FILE* err);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_MERGE_H_
