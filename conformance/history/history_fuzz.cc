// Any bytes as a history: the reader and the judge end with a verdict or with a reason.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "conformance/history/judge.h"
#include "conformance/history/reader.h"

namespace utrace::history {
namespace {

void Wrong(const char* what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

// What was read is written as a line that reads the same.
void TryText(const Edge& edge) {
  const std::string text = Text(edge);
  std::istringstream input(std::string("{\"format\":\"") + kFormat + "\"}\n" + text + "\n");
  Reader reader(&input);
  Edge again;
  if (reader.Read(&again) != Reader::Next::kEdge) Wrong("a written line cannot be read");
  if (Text(again) != text) Wrong("a line that was written and read is another one");
}

void Try(const std::string& text) {
  std::istringstream input(text);
  Reader reader(&input);
  Judge judge;
  Edge edge;
  Reader::Next next;
  uint64_t edges = 0;
  while ((next = reader.Read(&edge)) == Reader::Next::kEdge) {
    ++edges;
    TryText(edge);
    if (!judge.Take(edge)) {
      if (judge.error().empty()) Wrong("an edge is refused without a reason");
      return;
    }
  }
  if (next == Reader::Next::kError && reader.error().empty()) {
    Wrong("a line is refused without a reason");
  }
  if (judge.edge_count() != edges) Wrong("edges are lost");
  for (const Breach& breach : judge.breaches()) {
    if (breach.clauses.empty() || breach.sentence.empty()) Wrong("a breach says nothing");
    if (breach.witness.empty() || breach.witness.back().line > edges + 1) {
      Wrong("a witness is not in the history");
    }
    for (const char c : Describe(breach)) {
      if (c != '\n' && (c < 0x20 || c >= 0x7f)) Wrong("a witness may act on a terminal");
    }
  }
}

}  // namespace
}  // namespace utrace::history

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  utrace::history::Try(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
