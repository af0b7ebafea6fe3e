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

// Lines come from anywhere: nothing in them may act on a terminal.
std::string Printable(std::string text) {
  for (char& c : text) {
    // Beyond ASCII too: among it are control characters, and text that is no UTF-8.
    if (c < 0x20 || c >= 0x7f) c = '?';
  }
  return text;
}

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
  for (const Breach& breach : judge.breaches()) {
    fprintf(out, "%s: %s\n", breach.clauses.c_str(), breach.sentence.c_str());
    for (const Mark& mark : breach.witness) {
      fprintf(out, "  line %llu: %s\n", static_cast<unsigned long long>(mark.line),
              Printable(mark.text).c_str());
    }
  }
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
