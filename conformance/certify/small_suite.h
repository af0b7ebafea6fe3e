// A suite of two clauses, and packages that runs over it left.
#ifndef CONFORMANCE_CERTIFY_SMALL_SUITE_H_
#define CONFORMANCE_CERTIFY_SMALL_SUITE_H_

#include <gtest/gtest.h>

#include <string>

#include "conformance/certify/check.h"
#include "conformance/certify/clause_table.h"
#include "conformance/certify/digest.h"
#include "conformance/certify/package.h"
#include "conformance/certify/record.h"
#include "conformance/certify/spec_text.h"
#include "core/utrace.h"

namespace utrace::certify {

inline const ClauseTable& Table() {
  static const ClauseTable* const table = [] {
    std::string error;
    return new ClauseTable(
        *ClauseTable::Parse("## 3. Attaching\n- **[ATT-05]** MUST doc. A lookup.\n- **[ATT-06]** "
                            "MUST doc. Exclusive.\n",
                            &error));
  }();
  return *table;
}

inline Suite OurSuite() {
  return {&Table(), {3}, {{"ATT_05.One", "ATT-05", "One"}, {"ATT_06.Two", "ATT-06", "Two"}}};
}

inline Evidence Of(const std::string& test, const std::string& verdict, int status) {
  Evidence evidence;
  evidence.test = test;
  evidence.end.wait_status = status << 8;
  evidence.end.milliseconds = 1.25;
  evidence.result = R"({"id":")" + test + R"(","verdict":")" + verdict + R"("})";
  return evidence;
}

inline RunRecord GoodRecord() {
  RunRecord record;
  record.tool_version = "1";
  record.spec_sha256 = Sha256(kSpecText);
  record.date = "2026-09-01T12:00:00Z";
  record.machine = {"Linux 6", "x86_64", "here", 2};
  HostRecord& host = record.hosts.emplace_back();
  host.path = "/lib/good.so";
  host.sha256 = Sha256("good");
  host.reproduce = "utrace certify --implementation /lib/good.so";
  host.facts = R"({"api_version":)" + std::to_string(UTRACE_API_VERSION) + "}";
  host.evidence = {Of("ATT_06.Two", "PASS", 0), Of("ATT_05.One", "PASS", 0)};
  host.ended = true;
  host.seconds = 2.5;
  return record;
}

// As a run leaves it.
inline Package Packed(const RunRecord& record) {
  Package package;
  const std::string text = RecordText(record);
  std::string error;
  std::optional<Derived> derived = Derive(OurSuite(), text, &error);
  EXPECT_TRUE(derived) << error;
  if (derived) package.files = std::move(derived->files);
  package.files.emplace(kRecordFile, text);
  for (const auto& [name, content] : package.files) package.sums.emplace(name, Sha256(content));
  package.files.emplace(kSumsFile, SumsText(package.sums));
  return package;
}

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_SMALL_SUITE_H_
