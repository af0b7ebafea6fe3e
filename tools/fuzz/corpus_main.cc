// Calls LLVMFuzzerTestOneInput with each file that is named, with each file cut off at many places, and
// with some of its bytes changed, removed or doubled. What is tried is the same each time.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kCuts = 100;
constexpr int kChanges = 300;

void Try(const std::string& text) {
  // A copy of exactly this size, so that address sanitizer sees a read beyond it.
  const std::string copy(text.data(), text.size());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(copy.data()), copy.size());
}

void TryVariations(const std::string& text) {
  Try(text);
  for (size_t cut = 0; cut < kCuts; ++cut) Try(text.substr(0, text.size() * cut / kCuts));
  std::mt19937 random(17);
  for (int n = 0; n < kChanges && !text.empty(); ++n) {
    std::string changed = text;
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % changed.size();
      const size_t length = std::min<size_t>(1 + random() % 16, changed.size() - at);
      switch (random() % 4) {
        case 0:
          changed[at] = static_cast<char>(random());
          break;
        case 1:
          if (length < changed.size()) changed.erase(at, length);
          break;
        case 2:
          changed.insert(at, changed.substr(at, length));
          break;
        default:
          changed[at] = "{}[]\",:0\n"[random() % 9];
      }
    }
    Try(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fputs("usage: corpus_test FILE...\n", stderr);
    return 2;
  }
  for (int n = 1; n < argc; ++n) {
    std::ifstream file(argv[n], std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
      fprintf(stderr, "%s cannot be read\n", argv[n]);
      return 1;
    }
    TryVariations(text.str());
  }
  return 0;
}
