#include "conformance/certify/report.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "conformance/certify/certificate.h"
#include "conformance/certify/junit.h"
#include "conformance/certify/report_dir.h"
#include "conformance/certify/summary.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

using nlohmann::json;

constexpr int kCovered[] = {3};

const ClauseTable& Table() {
  static const ClauseTable* const table = [] {
    std::string error;
    return new ClauseTable(*ClauseTable::Parse(
        "## 3. Attaching\n- **[ATT-05]** MUST doc. A lookup.\n- **[ATT-06]** MUST doc. Exclusive.\n"
        "- **[ATT-21]** SHOULD ruling. Flags.\n## 4. Lifetime\n- **[REF-01]** MUST doc. Held.\n",
        &error));
  }();
  return *table;
}

TestResult Result(const std::string& clause, Verdict verdict) {
  TestResult result;
  result.test = {clause + ".Name", clause, "Name"};
  std::replace(result.test.id.begin(), result.test.id.end(), '-', '_');
  result.verdict = verdict;
  result.milliseconds = 1500;
  if (verdict == Verdict::kFail) {
    result.expected = "-ENOENT";
    result.seen = "-ESRCH <&\"\x01\xff";
    result.message = "line one\nline two";
    result.log = "logs/x.log";
  }
  return result;
}

Report Judged(std::vector<TestResult> results, std::vector<std::string> selection = {}) {
  Report report;
  report.results = std::move(results);
  report.selection = std::move(selection);
  report.reproduce_prefix = "utrace certify";
  Judge(Table(), kCovered, &report);
  return report;
}

// Both MUST clauses of the covered chapter pass, and whatever `more` says.
Report Whole(std::vector<TestResult> more = {}) {
  more.push_back(Result("ATT-05", Verdict::kPass));
  more.push_back(Result("ATT-06", Verdict::kPass));
  return Judged(more);
}

TEST(Judge, PassesOnlyAWholeAndCleanRun) {
  EXPECT_EQ(Whole().overall, Overall::kPass);
  EXPECT_EQ(Whole({Result("ATT-05", Verdict::kUnsupported)}).overall, Overall::kPass);
  EXPECT_EQ(Whole({Result("ATT-21", Verdict::kFail)}).overall, Overall::kPass);
  EXPECT_EQ(Whole({Result("ATT-05", Verdict::kFail)}).overall, Overall::kFail);
  EXPECT_EQ(Whole({Result("ATT-05", Verdict::kBroken)}).overall, Overall::kBroken);
  EXPECT_EQ(Whole({Result("ATT-21", Verdict::kBroken)}).overall, Overall::kBroken);
  EXPECT_EQ(Whole({Result("ATT-05", Verdict::kNotRun)}).overall, Overall::kBroken);
  EXPECT_EQ(Whole({Result("ATT-05", Verdict::kNotRun), Result("REF-01", Verdict::kFail)}).overall,
            Overall::kFail);
}

TEST(Judge, WantsATestForEachMustClauseOfCoveredChapters) {
  const Report report = Judged({Result("ATT-06", Verdict::kPass)});
  EXPECT_EQ(report.overall, Overall::kBroken);
  EXPECT_EQ(report.untested_must, std::vector<std::string>{"ATT-05"});
  EXPECT_EQ(report.reason, "1 MUST clause without a test");
  EXPECT_EQ(Judged({Result("ATT-06", Verdict::kPass)}, {"ATT-06"}).overall, Overall::kPass);
}

TEST(Judge, NeverPassesWithoutATestThatRan) {
  EXPECT_EQ(Judged({}).overall, Overall::kBroken);
  EXPECT_EQ(Judged({}, {"ATT-06"}).overall, Overall::kBroken);
  EXPECT_EQ(Judged({Result("ATT-06", Verdict::kUnsupported)}, {"ATT-06"}).overall,
            Overall::kBroken);
}

TEST(Judge, LeavesAnUnusableImplementationUnusable) {
  Report report;
  report.overall = Overall::kUnusable;
  report.reason = "hangs";
  Judge(Table(), kCovered, &report);
  EXPECT_EQ(report.overall, Overall::kUnusable);
  EXPECT_EQ(report.reason, "hangs");
}

TEST(Report, QuotesForTheShell) {
  EXPECT_EQ(ShellQuoted("/a/b-c.so"), "/a/b-c.so");
  EXPECT_EQ(ShellQuoted("a b"), "'a b'");
  EXPECT_EQ(ShellQuoted("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuoted(""), "''");
}

// Checks what the schema says with type, const, enum, required, properties, items and $ref.
void ExpectValid(const json& root, const json& schema, const json& value, const std::string& at) {
  if (schema.contains("$ref")) {
    const auto ref = schema["$ref"].get<std::string>();
    ExpectValid(root, root.at(json::json_pointer(ref.substr(1))), value, at);
    return;
  }
  if (schema.contains("const")) {
    EXPECT_EQ(value, schema["const"]) << at;
  }
  if (schema.contains("enum")) {
    EXPECT_NE(std::find(schema["enum"].begin(), schema["enum"].end(), value), schema["enum"].end())
        << at << " is " << value;
  }
  const std::string type = schema.value("type", "");
  if (type == "string") {
    EXPECT_TRUE(value.is_string()) << at;
  }
  if (type == "integer") {
    EXPECT_TRUE(value.is_number_integer()) << at;
  }
  if (type == "number") {
    EXPECT_TRUE(value.is_number()) << at;
  }
  if (type == "array") {
    ASSERT_TRUE(value.is_array()) << at;
    for (const json& item : value) ExpectValid(root, schema["items"], item, at + "[]");
  }
  if (type == "object") {
    ASSERT_TRUE(value.is_object()) << at;
    for (const json& name : schema["required"]) {
      EXPECT_TRUE(value.contains(name.get<std::string>())) << at << " lacks " << name;
    }
    for (const auto& [name, item] : value.items()) {
      ASSERT_TRUE(schema["properties"].contains(name)) << at << "." << name << " is not described";
      ExpectValid(root, schema["properties"][name], item, std::string(at).append(".").append(name));
    }
  }
}

TEST(Certificate, IsAsTheSchemaSays) {
  Report report = Whole({Result("REF-01", Verdict::kFail), Result("ATT-21", Verdict::kNotRun)});
  report.selection = {"ATT", "4"};
  report.untested_must = {"ATT-06"};
  report.implementation.declared_limits = {{"LIM-01", "no exit report"}};
  const json schema = json::parse(ReadFile("conformance/certify/certificate.schema.json"));
  const json document = json::parse(CertificateJson(Table(), report));
  ExpectValid(schema, schema, document, "certificate");

  EXPECT_EQ(document["kind"], "selection");
  EXPECT_EQ(document["verdict"], "FAIL");
  EXPECT_EQ(document["totals"]["tests"], 4);
  EXPECT_EQ(document["chapters"].size(), 2u);
  const json& clause = document["clauses"].back();
  EXPECT_EQ(clause["id"], "REF-01");
  EXPECT_EQ(clause["requirement"], "Held.");
  EXPECT_EQ(clause["tests"][0]["expected"], "-ENOENT");
  EXPECT_EQ(clause["tests"][0]["reproduce"], "utrace certify --only REF_01.Name");
}

TEST(JUnit, HasACaseForEachTest) {
  const std::string xml = JUnitXml(
      Table(), Whole({Result("REF-01", Verdict::kFail), Result("ATT-21", Verdict::kFail),
                      Result("ATT-05", Verdict::kBroken), Result("ATT-05", Verdict::kNotRun)}));
  EXPECT_NE(xml.find(R"(tests="6" failures="1" errors="2" skipped="1")"), std::string::npos) << xml;
  EXPECT_NE(xml.find(R"(<testcase classname="ATT-05" name="Name" time="1.500"/>)"),
            std::string::npos);
  EXPECT_NE(xml.find(R"(<failure message="FAIL: REF-01 MUST: Held.&#10;expected: -ENOENT&#10;)"
                     R"(seen: -ESRCH &lt;&amp;&quot;??&#10;line one&#10;line two&#10;)"
                     R"(reproduce: utrace certify --only REF_01.Name"/>)"),
            std::string::npos)
      << xml;
}

TEST(JUnit, TellsOfABadRunThatNoTestBears) {
  const std::string untested = JUnitXml(Table(), Judged({Result("ATT-06", Verdict::kPass)}));
  EXPECT_NE(untested.find(R"(name="ATT-05"><error message="no test)"), std::string::npos);
  Report report;
  report.overall = Overall::kUnusable;
  report.reason = "crashed";
  EXPECT_NE(JUnitXml(Table(), report).find(R"(<error message="crashed"/>)"), std::string::npos);
}

TEST(Summary, EndsWithVerdictAndPath) {
  const std::string good = Summary(Table(), Whole(), "/dir", "/dir/certificate.json");
  EXPECT_TRUE(good.ends_with("\nverdict: PASS\ncertificate: /dir/certificate.json\n")) << good;
  EXPECT_NE(good.find("\n 3 Attaching                                   2      2       2       0"
                      "       0            0\n"),
            std::string::npos)
      << good;

  const std::string bad = Summary(Table(), Judged({Result("REF-01", Verdict::kFail)}, {"REF"}),
                                  "/dir", "/dir/certificate.json");
  EXPECT_TRUE(
      bad.starts_with("FAIL REF-01 Name (MUST)\n  requirement    Held.\n"
                      "  expected       -ENOENT\n  seen           -ESRCH <"))
      << bad;
  EXPECT_NE(bad.find("  message        line one\n                 line two\n"), std::string::npos)
      << bad;
  EXPECT_NE(bad.find("  log            /dir/logs/x.log\n"
                     "  reproduce      utrace certify --only REF_01.Name\n"),
            std::string::npos);
  EXPECT_TRUE(
      bad.ends_with("verdict: FAIL: 1 test of MUST clauses failed (of a selection: this is "
                    "no certificate)\nreport: /dir/certificate.json\n"))
      << bad;
}

class ReportDirTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(parent_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(parent_); }

  std::unique_ptr<ReportDir> Open(const std::string& path) {
    error_.clear();
    return ReportDir::Open(path, Table(), Report(), &error_);
  }

  std::string parent_ = testing::TempDir() + "report_dir_test.XXXXXX";
  std::string error_;
};

TEST_F(ReportDirTest, TakesANewAnEmptyAndItsOwnDirectory) {
  const std::string path = parent_ + "/a/b";
  auto dir = Open(path);
  ASSERT_NE(dir, nullptr) << error_;
  EXPECT_EQ(json::parse(ReadFile(dir->certificate()))["verdict"], "INCOMPLETE");

  std::ofstream(parent_ + "/ATT_05.Name.log") << "output";
  EXPECT_EQ(dir->KeepLog(parent_ + "/ATT_05.Name.log"), "logs/ATT_05.Name.log");
  EXPECT_EQ(ReadFile(path + "/logs/ATT_05.Name.log"), "output");
  EXPECT_EQ(dir->KeepLog(parent_ + "/none.log"), "");

  ASSERT_NE(Open(path), nullptr) << error_;
  EXPECT_FALSE(std::filesystem::exists(path + "/logs"));

  std::filesystem::create_directory(parent_ + "/empty");
  EXPECT_NE(Open(parent_ + "/empty"), nullptr) << error_;
}

TEST_F(ReportDirTest, RefusesAForeignDirectory) {
  std::ofstream(parent_ + "/thesis.txt") << "years of work";
  EXPECT_EQ(Open(parent_), nullptr);
  EXPECT_EQ(error_, "the report directory " + parent_ +
                        " holds \"thesis.txt\", which is no part of an earlier certificate. Empty "
                        "it, or name another with --report DIR");
  EXPECT_EQ(ReadFile(parent_ + "/thesis.txt"), "years of work");

  // A certificate beside it does not make it ours, nor does somebody else's certificate.json.
  std::ofstream(parent_ + "/certificate.json") << CertificateJson(Table(), Report());
  EXPECT_EQ(Open(parent_), nullptr);
  std::filesystem::remove(parent_ + "/thesis.txt");
  EXPECT_NE(Open(parent_), nullptr) << error_;
  std::ofstream(parent_ + "/certificate.json") << "{\"format\":\"x509\"}";
  EXPECT_EQ(Open(parent_), nullptr);
}

TEST_F(ReportDirTest, TellsThatItCannotWrite) {
  std::ofstream(parent_ + "/file") << "x";
  EXPECT_EQ(Open(parent_ + "/file/sub"), nullptr);
  EXPECT_NE(
      error_.find("cannot make the report directory " + parent_ + "/file/sub: Not a directory"),
      std::string::npos)
      << error_;
  std::string error;
  EXPECT_FALSE(WriteFile("/dev/full/x", "text", &error));
  EXPECT_EQ(error, "cannot write /dev/full/x: Not a directory");
}

}  // namespace
}  // namespace utrace::certify
