#include "conformance/history/check_file.h"

#include <errno.h>
#include <string.h>

#include <fstream>

#include "conformance/history/judge.h"
#include "conformance/history/reader.h"

namespace utrace::history {
namespace {

constexpr int kGood = 0;
constexpr int kBreach = 1;
constexpr int kNoVerdict = 3;

}  // namespace

int CheckFile(const std::string& path, FILE* out, FILE* err) {
  std::ifstream input(path, std::ios::binary);
  if (!input) {
    fprintf(err, "%s: cannot be read: %s\n", path.c_str(), strerror(errno));
    return kNoVerdict;
  }
  Reader reader(&input);
  Judge judge;
  Edge edge;
  Reader::Next next;
  while ((next = reader.Read(&edge)) == Reader::Next::kEdge) {
    if (!judge.Take(edge)) {
      fprintf(err, "%s: %s\n", path.c_str(), judge.error().c_str());
      return kNoVerdict;
    }
  }
  if (input.bad()) {  // a directory, or a disk's error
    fprintf(err, "%s: cannot be read to its end: %s\n", path.c_str(), strerror(errno));
    return kNoVerdict;
  }
  if (next == Reader::Next::kError) {
    fprintf(err, "%s: %s\n", path.c_str(), reader.error().c_str());
    return kNoVerdict;
  }
  fprintf(out, "%llu edges, %llu callbacks, %zu tasks, %zu engines\n",
          static_cast<unsigned long long>(judge.edge_count()),
          static_cast<unsigned long long>(judge.callback_count()), judge.task_count(),
          judge.engine_count());
  for (const Breach& breach : judge.breaches()) fputs(Describe(breach).c_str(), out);
  if (judge.breach_count() == 0) {
    fputs("no breach\n", out);
  } else {
    fprintf(out, "%llu breaches\n", static_cast<unsigned long long>(judge.breach_count()));
  }
  if (fflush(out) != 0 || ferror(out) != 0) {
    fprintf(err, "%s: the verdict cannot be written: %s\n", path.c_str(), strerror(errno));
    return kNoVerdict;
  }
  return judge.breach_count() == 0 ? kGood : kBreach;
}

}  // namespace utrace::history
