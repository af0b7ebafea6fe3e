// Everything of a certificate that `utrace check` reads, made from one input: each of its files.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "conformance/certify/check.h"
#include "conformance/certify/digest.h"
#include "conformance/certify/package.h"
#include "conformance/certify/record.h"

namespace utrace::certify {
namespace {

const Suite& SmallSuite() {
  static const Suite* const suite = [] {
    std::string error;
    static const ClauseTable table = *ClauseTable::Parse(
        "## 3. Attaching\n- **[ATT-05]** MUST doc. A `lookup`.\n- **[ATT-06]** SHOULD doc. More.\n",
        &error);
    return new Suite{
        &table, {3}, {{"ATT_05.One", "ATT-05", "One"}, {"ATT_06.Two", "ATT-06", "Two"}}};
  }();
  return *suite;
}

void Wrong(const char* what) {
  fputs(what, stderr);
  abort();
}

// What a record leads to is one thing, and a package made of it is whole.
void TryAsRecord(std::string_view text) {
  std::string error;
  const std::optional<Derived> derived = Derive(SmallSuite(), text, &error);
  if (!derived) {
    if (error.empty()) Wrong("a record is refused without a reason");
    return;
  }
  Package package;
  package.files.insert(derived->files.begin(), derived->files.end());
  // As the driver would have written it.
  const std::string rewritten = RecordText(*ParseRecord(text, &error));
  package.files.emplace(kRecordFile, rewritten);
  for (const auto& [name, content] : package.files) package.sums.emplace(name, Sha256(content));
  package.files.emplace(kSumsFile, SumsText(package.sums));
  const CheckOutcome outcome = CheckPackage(SmallSuite(), package);
  if (!outcome.report || outcome.report->overall != derived->report.overall) {
    Wrong("a record leads to two verdicts");
  }
  for (const std::string& problem : outcome.problems) {
    if (problem.find("does not follow") != std::string::npos) Wrong(problem.c_str());
    if (problem.find('\n') != std::string::npos) Wrong("a problem of several lines");
  }
}

void TryAsAnyFile(const std::string& text) {
  Package package;
  for (const std::string_view name : kDerivedFiles) package.files.emplace(name, text);
  package.files.emplace(kRecordFile, text);
  package.files.emplace(kSumsFile, text);
  for (const auto& [name, content] : package.files) package.sums.emplace(name, "");
  if (CheckPackage(SmallSuite(), package).status == kCheckGood) Wrong("one file serves as all");
  std::string error;
  const std::optional<Sums> sums = ParseSums(text, &error);
  if (sums && sums->size() == 1 && SumsText(*sums) != text) Wrong("sums change when rewritten");
}

}  // namespace
}  // namespace utrace::certify

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  utrace::certify::TryAsRecord(text);
  utrace::certify::TryAsAnyFile(text);
  return 0;
}
