// What is wrong with a package, and that nothing else is found wrong with it.
#include "conformance/certify/check.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "conformance/certify/digest.h"
#include "conformance/certify/record.h"
#include "conformance/certify/small_suite.h"

namespace utrace::certify {
namespace {

// Puts `to` for the first `from` of the file; with `summed` the sums are made to fit.
void Edit(Package* package, std::string_view file, const std::string& from, const std::string& to,
          bool summed) {
  std::string& content = package->files.find(file)->second;
  const size_t at = content.find(from);
  ASSERT_NE(at, std::string::npos) << from << " is not in\n" << content;
  content.replace(at, from.size(), to);
  package->sums[std::string(file)] = Sha256(content);
  if (summed) package->files.find(kSumsFile)->second = SumsText(package->sums);
}

std::string Problems(const CheckOutcome& outcome) {
  std::string text;
  for (const std::string& problem : outcome.problems) text += problem + "\n";
  return text;
}

#define EXPECT_CHECK(package, expected_status, expected_problem)                                 \
  do {                                                                                           \
    const CheckOutcome outcome = CheckPackage(OurSuite(), package);                              \
    EXPECT_EQ(outcome.status, expected_status) << Problems(outcome);                             \
    EXPECT_NE(Problems(outcome).find(expected_problem), std::string::npos) << Problems(outcome); \
  } while (false)

TEST(CheckPackage, AcceptsWhatARunLeft) {
  const CheckOutcome outcome = CheckPackage(OurSuite(), Packed(GoodRecord()));
  EXPECT_EQ(outcome.status, kCheckGood);
  EXPECT_EQ(Problems(outcome), "");
  ASSERT_TRUE(outcome.report);
  EXPECT_EQ(outcome.report->hosts[0].results[0].verdict, Verdict::kPass);
}

TEST(CheckPackage, RejectsEditsThatTheSumsTell) {
  for (const std::string_view file : {kCertificateFile, kJUnitFile, kRecordFile}) {
    Package package = Packed(GoodRecord());
    Edit(&package, file, "One", "Won", false);
    const CheckOutcome outcome = CheckPackage(OurSuite(), package);
    EXPECT_NE(outcome.status, kCheckGood);
    EXPECT_NE(Problems(outcome).find(std::string(file) + " was changed after the run"),
              std::string::npos)
        << Problems(outcome);
  }
  // An edit of the record that makes another good record.
  Package package = Packed(GoodRecord());
  Edit(&package, kRecordFile, "x86_64", "aarch64", false);
  EXPECT_CHECK(package, kCheckRejected, "results.jsonl was changed after the run");
}

TEST(CheckPackage, RejectsEditsThatDoNotFollowFromTheResults) {
  RunRecord record = GoodRecord();
  record.hosts[0].evidence[0] = Of("ATT_06.Two", "FAIL", 1);
  Package package = Packed(record);
  Edit(&package, kCertificateFile, R"("verdict": "FAIL")", R"("verdict": "PASS")", true);
  EXPECT_CHECK(package, kCheckRejected,
               "certificate.json does not follow from results.jsonl: line 4: it says `\"verdict\": "
               "\"PASS\",`, the results say `\"verdict\": \"FAIL\",`\n");
  EXPECT_CHECK(package, kCheckRejected, "the verdict is FAIL: 1 test of MUST clauses failed\n");

  package = Packed(GoodRecord());
  Edit(&package, kJUnitFile, "tests=\"2\"", "tests=\"3\"", true);
  EXPECT_CHECK(package, kCheckRejected, "junit.xml does not follow from results.jsonl: line 2");
  package = Packed(GoodRecord());
  Edit(&package, kCertificateFile, "A lookup.", "A lookup, perhaps.", true);
  EXPECT_CHECK(package, kCheckRejected, "A lookup, perhaps.");
}

// The raw result and the exit status of its process speak against each other.
TEST(CheckPackage, DrawsVerdictsFromTheRawResults) {
  RunRecord record = GoodRecord();
  record.hosts[0].evidence[0] = Of("ATT_06.Two", "FAIL", 1);
  Package package = Packed(record);
  Edit(&package, kRecordFile, R"(\"verdict\":\"FAIL\")", R"(\"verdict\":\"PASS\")", true);
  EXPECT_CHECK(package, kCheckRejected, "the verdict is BROKEN: 1 test could not be carried out");
}

TEST(CheckPackage, RejectsMissingResults) {
  RunRecord record = GoodRecord();
  record.hosts[0].evidence.pop_back();
  EXPECT_CHECK(Packed(record), kCheckRejected, "ATT-05 was tested on no host (not run)");
  EXPECT_CHECK(Packed(record), kCheckRejected, "the verdict is BROKEN: 1 test was not run");
  // Its line alone is taken out of an otherwise good package.
  Package package = Packed(GoodRecord());
  const std::string line = RecordText(GoodRecord());
  const size_t begin = line.find("{\"test\":\"ATT_05");
  Edit(&package, kRecordFile, line.substr(begin, line.find('\n', begin) + 1 - begin), "", true);
  EXPECT_CHECK(package, kCheckRejected, "certificate.json does not follow from results.jsonl");
}

TEST(CheckPackage, RejectsSelectionsAndOtherSpecifications) {
  RunRecord record = GoodRecord();
  record.selection = {"ATT"};
  EXPECT_CHECK(Packed(record), kCheckRejected,
               "it was made with a selection, so it certifies nothing: --only ATT\n");
  record = GoodRecord();
  record.spec_sha256 = Sha256("another");
  EXPECT_CHECK(Packed(record), kCheckRejected, "another edition of the specification");
}

TEST(CheckPackage, AcceptsWaivers) {
  RunRecord record = GoodRecord();
  record.hosts[0].evidence[0] = Of("ATT_06.Two", "FAIL", 1);
  record.waivers = {{"ATT-06", "ticket 17"}};
  EXPECT_CHECK(Packed(record), kCheckGood, "");
}

TEST(CheckPackage, WantsEveryFileAndNoOther) {
  for (const std::string_view file : {kCertificateFile, kJUnitFile, kSumsFile}) {
    Package package = Packed(GoodRecord());
    package.files.erase(std::string(file));
    package.sums.erase(std::string(file));
    EXPECT_CHECK(package, kCheckRejected, std::string(file) + " is missing");
  }
  Package package = Packed(GoodRecord());
  package.files.erase(std::string(kRecordFile));
  EXPECT_CHECK(package, kCheckUnreadable, "results.jsonl is missing");
  package = Packed(GoodRecord());
  package.sums["logs/1/x.log"] = Sha256("x");
  EXPECT_CHECK(package, kCheckRejected, "logs/1/x.log is no part of the package");
  RunRecord record = GoodRecord();
  record.hosts[0].evidence[0].log = "logs/1/ATT_06.Two.log";
  EXPECT_CHECK(Packed(record), kCheckRejected,
               "logs/1/ATT_06.Two.log, which ATT_06.Two refers to, is missing");
}

TEST(CheckPackage, TellsWhatIsMalformed) {
  const std::pair<std::string, std::string> kEdits[] = {
      {"{\"ended\"", "{\"endde\""},
      {"\"format\":\"utrace-results-1\"", "\"format\":\"utrace-results-9\""},
      {"\"hosts\":1", "\"hosts\":2"},
      {"\"hosts\":1", "\"hosts\":0"},
      {"\"hosts\":1", "\"hosts\":-1"},
      {"\"wait_status\":0", "\"wait_status\":\"0\""},
      {"\"milliseconds\":1.25", "\"milliseconds\":-1"},
      {"\"milliseconds\":1.25", "\"milliseconds\":1e999"},
      {"\"log\":\"\"", "\"log\":\"\",\"more\":1"},
      {"\"log\":\"\"", "\"log\":{}"},
      {"{\"host\":{", "{\"host\":[],\"x\":{"},
      {"{\"test\":\"ATT_05.One\"", "{\"test\":\"ATT_05.Three\""},
      {"{\"test\":\"ATT_05.One\"", "{\"test\":\"ATT_06.Two\""},
      {"20090421", "20090420"},
      {"\n", "\n\n"},
      {"\n", " "},
  };
  for (const auto& [from, to] : kEdits) {
    Package package = Packed(GoodRecord());
    Edit(&package, kRecordFile, from, to, true);
    const CheckOutcome outcome = CheckPackage(OurSuite(), package);
    EXPECT_EQ(outcome.status, kCheckUnreadable) << from << " -> " << to;
    ASSERT_EQ(outcome.problems.size(), 1u) << from << " -> " << to << Problems(outcome);
    EXPECT_TRUE(outcome.problems[0].starts_with("results.jsonl: ")) << outcome.problems[0];
  }
}

TEST(CheckPackage, IsUnreadableWhereverItIsCutOff) {
  const std::string text = RecordText(GoodRecord());
  std::string error;
  for (size_t size = 0; size < text.size(); ++size) {
    // At the end of a line before the end of a host the run was interrupted there.
    const std::string cut = text.substr(0, size);
    const auto derived = Derive(OurSuite(), cut, &error);
    if (derived) {
      EXPECT_TRUE(cut.ends_with("}\n"));
      EXPECT_EQ(derived->report.overall, Overall::kIncomplete);
    }
  }
}

TEST(Sums, AreReadStrictly) {
  std::string error;
  const std::string sum(64, 'a');
  EXPECT_TRUE(ParseSums("", &error));
  EXPECT_TRUE(ParseSums(sum + "  x y\n", &error));
  for (const std::string& text : std::initializer_list<std::string>{
           sum + "  x", sum + " x\n", sum + "  \n", sum.substr(1) + "  x\n", "\n",
           std::string(64, 'A') + "  x\n", sum + "  x\n" + sum + "  x\n", std::string("\0", 1)}) {
    EXPECT_FALSE(ParseSums(text, &error)) << text;
  }
}

TEST(Record, ComesBackAsItWasWritten) {
  RunRecord record = GoodRecord();
  record.selection = {"ATT", "4"};
  record.waivers = {{"ATT-05", "\"\\\n\x01 \xc3\xa4"}};
  record.hosts[0].evidence[0].output = "not UTF-8: \xff";
  record.hosts[0].evidence[1].end.timed_out = true;
  record.hosts[0].evidence[1].end.milliseconds = 1.0 / 3;
  record.hosts.emplace_back().error = "cannot be loaded";
  const std::string text = RecordText(record);
  std::string error;
  const auto read = ParseRecord(text, &error);
  ASSERT_TRUE(read) << error;
  EXPECT_EQ(RecordText(*read), text);
  EXPECT_EQ(read->waivers[0].reason, record.waivers[0].reason);
}

class CheckCertificateTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    null_ = fopen("/dev/null", "we");
  }
  void TearDown() override {
    fclose(null_);
    std::filesystem::remove_all(dir_);
  }
  int Check(const std::string& path) { return CheckCertificate(OurSuite(), path, null_, null_); }

  std::string dir_ = testing::TempDir() + "check_test.XXXXXX";
  FILE* null_ = nullptr;
};

TEST_F(CheckCertificateTest, ReadsADirectory) {
  for (const auto& [name, content] : Packed(GoodRecord()).files) {
    std::ofstream(dir_ + "/" + name) << content;
  }
  EXPECT_TRUE(IsCertificate(dir_));
  EXPECT_TRUE(IsCertificate(dir_ + "/certificate.json"));
  EXPECT_FALSE(IsCertificate(dir_ + "/results.jsonl"));
  EXPECT_FALSE(IsCertificate(dir_ + "/none"));
  EXPECT_EQ(Check(dir_), kCheckGood);
  EXPECT_EQ(Check(dir_ + "/"), kCheckGood);
  EXPECT_EQ(Check(dir_ + "/certificate.json"), kCheckGood);
  EXPECT_EQ(CheckCertificate(OurSuite(), dir_, fopen("/dev/full", "we"), null_), kCheckUnreadable);

  std::filesystem::create_symlink("/etc/passwd", dir_ + "/link");
  EXPECT_EQ(Check(dir_), kCheckUnreadable);
  std::filesystem::remove(dir_ + "/link");
  std::ofstream(dir_ + "/notes.txt") << "x";
  EXPECT_EQ(Check(dir_), kCheckRejected);
  std::filesystem::remove(dir_ + "/notes.txt");
  std::ofstream(dir_ + "/certificate.json") << "{\"format\":\"utrace-certificate-1\"}";
  EXPECT_EQ(Check(dir_), kCheckUnreadable);
  std::filesystem::remove(dir_ + "/certificate.json");
  EXPECT_EQ(Check(dir_), kCheckUnreadable);
  EXPECT_EQ(Check(dir_ + "/none"), kCheckUnreadable);
}

}  // namespace
}  // namespace utrace::certify
