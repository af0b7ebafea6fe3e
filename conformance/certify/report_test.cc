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
#include "conformance/certify/waivers.h"

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

HostReport Host(const std::string& name, std::vector<TestResult> results) {
  HostReport host;
  host.name = name;
  host.reproduce = "utrace certify";
  host.results = std::move(results);
  return host;
}

Report Judged(std::vector<HostReport> hosts, std::vector<Waiver> waivers = {}) {
  Report report;
  report.hosts = std::move(hosts);
  report.waivers = std::move(waivers);
  Judge(Table(), kCovered, &report);
  return report;
}

Report Judged(std::vector<TestResult> results, std::vector<std::string> selection = {}) {
  Report report;
  report.hosts = {Host("live", std::move(results))};
  report.selection = std::move(selection);
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
  EXPECT_EQ(report.overall, Overall::kPartial);
  ASSERT_EQ(report.untested_must.size(), 1u);
  EXPECT_EQ(report.untested_must[0].clause, "ATT-05");
  EXPECT_EQ(report.untested_must[0].reason, "no test");
  EXPECT_EQ(report.reason, "1 MUST clause was tested on no host");
  EXPECT_EQ(Judged({Result("ATT-06", Verdict::kPass)}, {"ATT-06"}).overall, Overall::kPass);
}

TEST(Judge, NeverPassesWithoutATestThatRan) {
  EXPECT_EQ(Judged(std::vector<TestResult>()).overall, Overall::kBroken);
  EXPECT_EQ(Judged(std::vector<TestResult>(), {"ATT-06"}).overall, Overall::kBroken);
  EXPECT_EQ(Judged({Result("ATT-06", Verdict::kUnsupported)}, {"ATT-06"}).overall,
            Overall::kBroken);
}

TEST(Judge, LeavesAnUnusableImplementationUnusable) {
  HostReport host = Host("live", {});
  host.end = Overall::kUnusable;
  host.end_reason = "hangs";
  Report report = Judged({host});
  EXPECT_EQ(report.overall, Overall::kUnusable);
  EXPECT_EQ(report.reason, "hangs");
  report = Judged({Host("live", Whole().hosts[0].results), host});
  EXPECT_EQ(report.hosts[0].overall, Overall::kPass);
  EXPECT_EQ(report.overall, Overall::kUnusable);
}

TestResult Needs(const std::string& clause, const std::string& what) {
  TestResult result = Result(clause, Verdict::kNotApplicable);
  result.needs = what;
  return result;
}

TEST(Judge, WantsEachMustClauseTestedOnSomeHost) {
  const TestResult five = Result("ATT-05", Verdict::kPass);
  const TestResult six = Result("ATT-06", Verdict::kPass);
  const HostReport live = Host("live", {Needs("ATT-05", "exec"), six});
  const Report alone = Judged({live});
  EXPECT_EQ(alone.hosts[0].overall, Overall::kPass);
  EXPECT_EQ(alone.overall, Overall::kPartial);
  EXPECT_EQ(alone.untested_must[0].reason, "needs exec");
  EXPECT_EQ(ExitStatus(alone.overall), 1);

  const Report both =
      Judged({live, Host("hosted", {five, Result("ATT-06", Verdict::kUnsupported)})});
  EXPECT_EQ(both.overall, Overall::kPass) << both.reason;
  EXPECT_TRUE(both.untested_must.empty());
  ASSERT_EQ(both.hosts[0].untested_must.size(), 1u);
  EXPECT_EQ(both.hosts[0].untested_must[0].reason, "needs exec");
  ASSERT_EQ(both.hosts[1].untested_must.size(), 1u);
  EXPECT_EQ(both.hosts[1].untested_must[0].reason, "not supported: a declared limit");

  const Report none = Judged({live, Host("hosted", {Needs("ATT-05", "fork"), six})});
  EXPECT_EQ(none.overall, Overall::kPartial);
  EXPECT_EQ(none.untested_must[0].reason, "live: needs exec; hosted: needs fork");
}

TEST(Judge, FailsIfOneHostDoes) {
  const std::vector<TestResult> good = {Result("ATT-05", Verdict::kPass),
                                        Result("ATT-06", Verdict::kPass)};
  const std::vector<TestResult> bad = {Result("ATT-05", Verdict::kFail),
                                       Result("ATT-06", Verdict::kPass)};
  const Report report = Judged({Host("live", good), Host("hosted", bad)});
  EXPECT_EQ(report.overall, Overall::kFail);
  EXPECT_EQ(report.reason, "hosted: 1 test of MUST clauses failed");
  const Clause& clause = *Table().Find("ATT-05");
  EXPECT_EQ(StateOf(report, nullptr, clause), ClauseState::kFailed);
  EXPECT_EQ(StateOf(report, report.hosts.data(), clause), ClauseState::kPassed);
}

TEST(Waivers, ExcuseFailuresAndMissingTestsAndNothingElse) {
  const std::vector<Waiver> waivers = {{"ATT-05", "ticket 17"}};
  const TestResult pass = Result("ATT-06", Verdict::kPass);
  Report report = Judged({Host("live", {Result("ATT-05", Verdict::kFail), pass})}, waivers);
  EXPECT_EQ(report.overall, Overall::kPassWithWaivers);
  EXPECT_EQ(report.reason, "ATT-05 not kept, as declared");
  EXPECT_EQ(ExitStatus(report.overall), 5);
  EXPECT_EQ(StateOf(report, nullptr, *Table().Find("ATT-05")), ClauseState::kWaived);

  report = Judged({Host("live", {pass})}, waivers);
  EXPECT_EQ(report.overall, Overall::kPassWithWaivers) << report.reason;
  report = Judged({Host("live", {Result("ATT-05", Verdict::kBroken), pass})}, waivers);
  EXPECT_EQ(report.overall, Overall::kBroken);
  report =
      Judged({Host("live", {Result("ATT-05", Verdict::kFail), Result("ATT-06", Verdict::kFail)})},
             waivers);
  EXPECT_EQ(report.overall, Overall::kFail);
  EXPECT_EQ(report.reason, "1 test of MUST clauses failed");
}

TEST(Waivers, MustBeNeeded) {
  Report report = Judged({Host("live", Whole().hosts[0].results)}, {{"ATT-05", "ticket 17"}});
  EXPECT_EQ(report.overall, Overall::kBroken);
  EXPECT_EQ(report.reason, "nothing was wrong with ATT-05: take it out of the file of waivers");
  // A selection says nothing about what it did not select.
  report.selection = {"ATT-06"};
  report.hosts[0].results = {Result("ATT-06", Verdict::kPass)};
  Judge(Table(), kCovered, &report);
  EXPECT_EQ(report.overall, Overall::kPass);
}

TEST(Waivers, AreReadStrictly) {
  std::string error;
  const auto waivers =
      ParseWaivers("# why\n\n  ATT-05\tno lookups yet \r\nATT-21 flags\n", Table(), &error);
  ASSERT_TRUE(waivers) << error;
  ASSERT_EQ(waivers->size(), 2u);
  EXPECT_EQ(waivers->front().reason, "no lookups yet");
  EXPECT_FALSE(ParseWaivers("ATT-50 x\n", Table(), &error));
  EXPECT_EQ(error, "line 1: the specification has no clause \"ATT-50\"");
  EXPECT_FALSE(ParseWaivers("\nATT-05\n", Table(), &error));
  EXPECT_EQ(error, "line 2: say behind ATT-05 why it is not kept");
  EXPECT_FALSE(ParseWaivers("ATT-05 x\nATT-05 y", Table(), &error));
  EXPECT_EQ(error, "line 2: ATT-05 was waived before");
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
  report.untested_must = {{"ATT-06", "no test"}};
  report.waivers = {{"ATT-05", "ticket 17"}};
  report.hosts[0].facts.declared_limits = {{"LIM-01", "no exit report"}};
  report.hosts[0].facts.capabilities = {"exec"};
  report.hosts[0].results[0].witness = "lines 3 and 4";
  report.hosts[0].results[0].history = "histories/1/x.jsonl";
  report.hosts[0].results[0].schedule = "random:3";
  const json schema = json::parse(ReadFile("conformance/certify/certificate.schema.json"));
  const json document = json::parse(CertificateJson(Table(), report));
  ExpectValid(schema, schema, document, "certificate");

  EXPECT_EQ(document["kind"], "selection");
  EXPECT_EQ(document["verdict"], "FAIL");
  EXPECT_EQ(document["hosts"][0]["totals"]["tests"], 4);
  EXPECT_EQ(document["hosts"][0]["chapters"].size(), 2u);
  const json& clause = document["clauses"].back();
  EXPECT_EQ(clause["id"], "REF-01");
  EXPECT_EQ(clause["requirement"], "Held.");
  EXPECT_EQ(clause["tests"][0]["expected"], "-ENOENT");
  EXPECT_EQ(clause["tests"][0]["reproduce"],
            "utrace certify --only REF_01.Name --schedule random:3");
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

TEST(JUnit, HasASuiteForEachHostAndSkipsWhatIsWaived) {
  const std::vector<TestResult> results = {Result("ATT-05", Verdict::kFail),
                                           Needs("ATT-06", "exec")};
  const std::string xml =
      JUnitXml(Table(), Judged({Host("live", results), Host("hosted", Whole().hosts[0].results)},
                               {{"ATT-05", "ticket 17"}}));
  EXPECT_NE(xml.find(R"(<testsuites name="utrace certify" tests="4" failures="0" errors="0" )"
                     R"(skipped="2")"),
            std::string::npos)
      << xml;
  EXPECT_NE(xml.find(R"(<testsuite name="utrace certify, hosted" tests="2")"), std::string::npos);
  EXPECT_NE(xml.find("waived: ticket 17&#10;"), std::string::npos);
  EXPECT_NE(xml.find("needs: exec&#10;"), std::string::npos);
}

TEST(JUnit, TellsOfABadRunThatNoTestBears) {
  const std::string untested = JUnitXml(Table(), Judged({Result("ATT-06", Verdict::kPass)}));
  EXPECT_NE(untested.find(R"(name="ATT-05"><error message="no test)"), std::string::npos);
  HostReport host = Host("live", {});
  host.end = Overall::kUnusable;
  host.end_reason = "crashed";
  EXPECT_NE(JUnitXml(Table(), Judged({host})).find(R"(<error message="crashed"/>)"),
            std::string::npos);
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
  EXPECT_EQ(bad.find("not tested"), std::string::npos) << bad;
  EXPECT_NE(bad.find("  log            /dir/logs/x.log\n"
                     "  reproduce      utrace certify --only REF_01.Name\n"),
            std::string::npos);
  EXPECT_TRUE(
      bad.ends_with("verdict: FAIL: 1 test of MUST clauses failed (of a selection: this is "
                    "no certificate)\nreport: /dir/certificate.json\n"))
      << bad;
}

TEST(Summary, TellsOfEachHostWhatItWasNotTestedBy) {
  const std::string text =
      Summary(Table(),
              Judged({Host("live", {Needs("ATT-05", "exec"), Result("ATT-06", Verdict::kPass)}),
                      Host("hosted", Whole().hosts[0].results)}),
              "/dir", "/dir/certificate.json");
  EXPECT_NE(text.find("chapter, on host live "), std::string::npos) << text;
  EXPECT_NE(text.find("chapter, on host hosted "), std::string::npos) << text;
  EXPECT_NE(text.find("  clauses kept   MUST 1 of 1\n  not tested     ATT-05: needs exec\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  clauses kept   MUST 2 of 2\n"), std::string::npos) << text;
}

class ReportDirTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(parent_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(parent_); }

  std::unique_ptr<ReportDir> Open(const std::string& path) {
    error_.clear();
    return ReportDir::Open(path, suite_, RunRecord(), &error_);
  }
  static std::string OldCertificate() { return "{\"format\":\"utrace-certificate-1\"}"; }

  const Suite suite_ = {&Table(), {3}, {}};

  std::string parent_ = testing::TempDir() + "report_dir_test.XXXXXX";
  std::string error_;
};

TEST_F(ReportDirTest, TakesANewAnEmptyAndItsOwnDirectory) {
  const std::string path = parent_ + "/a/b";
  auto dir = Open(path);
  ASSERT_NE(dir, nullptr) << error_;
  EXPECT_EQ(json::parse(ReadFile(dir->PathOf("certificate.json")))["verdict"], "INCOMPLETE");

  std::ofstream(parent_ + "/ATT_05.Name.log") << "output";
  EXPECT_EQ(dir->Keep(parent_ + "/ATT_05.Name.log", "logs/1"), "logs/1/ATT_05.Name.log");
  EXPECT_EQ(ReadFile(path + "/logs/1/ATT_05.Name.log"), "output");
  EXPECT_EQ(dir->Keep(parent_ + "/none.log", "logs/1"), "");

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
  std::ofstream(parent_ + "/certificate.json") << OldCertificate();
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
