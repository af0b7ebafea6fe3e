// Certificates of several machines in one, and what is wrong with those that do not go together.
#include "conformance/certify/merge.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "conformance/certify/merged.h"
#include "conformance/certify/small_suite.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

namespace fs = std::filesystem;

RunRecord On(const std::string& machine, const std::string& kernel, const std::string& host) {
  RunRecord record = GoodRecord();
  record.machine = {kernel, machine, host, 2};
  record.hosts[0].facts =
      R"({"kind":"live","declared_limits":"LIM-06 late reaps\n","api_version":)" +
      std::to_string(UTRACE_API_VERSION) + "}";
  return record;
}
RunRecord Old() { return On("x86_64", "Linux 6.1.0-18-amd64 #1 SMP", "old"); }
RunRecord New() { return On("x86_64", "Linux 6.18.5 #1 SMP", "new"); }
RunRecord Arm() { return On("aarch64", "Linux 6.12.3 #1 SMP", "board"); }

bool Holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class MergeTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  std::string Saved(const std::string& name, const RunRecord& record) {
    fs::create_directory(Path(name));
    for (const auto& [file, content] : Packed(record).files) {
      std::ofstream(Path(name) + "/" + file) << content;
    }
    return Path(name);
  }

  // Runs `what` with a file for its output and one for its complaints, which it leaves in said_.
  template <class What>
  int Said(const What& what) {
    char* text = nullptr;
    size_t size = 0;
    FILE* file = open_memstream(&text, &size);
    const int status = what(file);
    fclose(file);
    said_.assign(text, size);
    free(text);
    return status;
  }
  int Merge(const std::vector<std::string>& parts) {
    return Said(
        [&](FILE* file) { return MergeCertificates(OurSuite(), parts, Path("out"), file, file); });
  }
  int Check(const std::string& path) {
    return Said([&](FILE* file) { return CheckMerged(OurSuite(), path, file, file); });
  }
  int Check() { return Check(Path("out")); }

  void MergeThree() {
    ASSERT_EQ(Merge({Saved("a", Old()), Saved("b", New()), Saved("c", Arm())}), 0) << said_;
    ASSERT_EQ(Check(), kCheckGood) << said_;
  }
  // The directory of the part whose name begins so.
  std::string PartOf(const std::string& prefix) {
    for (const auto& entry : fs::directory_iterator(Path("out/parts"))) {
      if (entry.path().filename().string().starts_with(prefix)) return entry.path();
    }
    ADD_FAILURE() << "no part " << prefix;
    return "";
  }
  // Makes the sums fit to what is there now.
  void SumUp(const std::string& directory) {
    std::string error;
    const auto sums = SumsOf(directory, &error);
    ASSERT_TRUE(sums) << error;
    std::ofstream(directory + "/SHA256SUMS") << SumsText(*sums);
  }
  void Replace(const std::string& path, const std::string& from, const std::string& to) {
    std::string text = ReadFile(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " is not in " << path;
    std::ofstream(path) << text.replace(at, from.size(), to);
  }

  std::string dir_ = testing::TempDir() + "merge_test.XXXXXX";
  std::string said_;
};

TEST_F(MergeTest, KeepsPartsUnchangedAndDerivesTheRest) {
  MergeThree();
  for (const auto& [name, prefix] : std::initializer_list<std::pair<std::string, std::string>>{
           {"a", "x86_64_6.1.0-18-amd64_old_"}, {"b", "x86_64_6.18.5_new_"}, {"c", "aarch64_"}}) {
    const std::string part = PartOf(prefix);
    size_t files = 0;
    for (const auto& entry : fs::directory_iterator(Path(name))) {
      ++files;
      EXPECT_EQ(ReadFile(entry.path()), ReadFile(fs::path(part) / entry.path().filename()));
    }
    EXPECT_EQ(files, 5u);
  }
  const std::string json = ReadFile(Path("out/merged.json"));
  EXPECT_TRUE(Holds(json, "\"verdict\": \"PASS\""));
  // By architecture, then by kernel as numbers.
  EXPECT_LT(json.find("aarch64_6.12.3"), json.find("x86_64_6.1.0"));
  EXPECT_LT(json.find("x86_64_6.1.0"), json.find("x86_64_6.18.5"));
  const std::string html = ReadFile(Path("out/merged.html"));
  for (const char* part :
       {"<th colspan=\"2\">x86_64</th>", "<th colspan=\"1\">6.12.3</th>", "<tr id=\"ATT-05\">",
        "ATT-06, x86_64 6.1.0-18-amd64 live: PASS", "<b>LIM-06</b> late reaps",
        "thread pidfds (Linux 6.9)", "PTRACE_SET_SYSCALL_INFO (Linux 6.16)"}) {
    EXPECT_TRUE(Holds(html, part)) << part;
  }
  for (const char* part : {"://", "src=", "url(", "<script"})
    EXPECT_FALSE(Holds(html, part)) << part;
}

TEST_F(MergeTest, ComesOutTheSameInAnyOrder) {
  MergeThree();
  const std::string json = ReadFile(Path("out/merged.json"));
  fs::remove_all(Path("out"));
  ASSERT_EQ(Merge({Path("c"), Path("b"), Path("a")}), 0) << said_;
  EXPECT_EQ(ReadFile(Path("out/merged.json")), json);
}

TEST_F(MergeTest, IsAsGoodAsItsWorstPart) {
  RunRecord failed = New();
  failed.hosts[0].evidence[0] = Of("ATT_06.Two", "FAIL", 1);
  EXPECT_EQ(Merge({Saved("a", Old()), Saved("b", failed)}), 1) << said_;
  EXPECT_EQ(Check(), kCheckRejected);
  EXPECT_TRUE(Holds(said_, "the verdict is FAIL: x86_64_6.18.5_new_")) << said_;
  EXPECT_TRUE(Holds(ReadFile(Path("out/merged.html")), "<h2>What did not pass</h2>"));
  fs::remove_all(Path("out"));
  failed.waivers = {{"ATT-06", "ticket 17"}};
  EXPECT_EQ(Merge({Path("a"), Saved("c", failed)}), 5) << said_;
  EXPECT_EQ(Check(), kCheckGood) << said_;
  EXPECT_TRUE(Holds(ReadFile(Path("out/merged.json")), "\"state\": \"WAIVED\""));
}

TEST_F(MergeTest, ShowsDeclaredLimitsAsSuch) {
  RunRecord limited = Old();
  Evidence& evidence = limited.hosts[0].evidence[0];
  evidence = Of("ATT_06.Two", "UNSUPPORTED", 0);
  evidence.result = R"({"id":"ATT_06.Two","verdict":"UNSUPPORTED","message":"NO-BLOCKSTEP"})";
  limited.waivers = {{"ATT-06", "as declared"}};
  EXPECT_EQ(Merge({Saved("a", limited), Saved("b", New())}), 5) << said_;
  EXPECT_TRUE(Holds(ReadFile(Path("out/merged.html")),
                    "UNSUPPORTED, a declared limit: NO-BLOCKSTEP\">limit<"))
      << ReadFile(Path("out/merged.html"));
}

TEST_F(MergeTest, RefusesWhatDoesNotGoTogether) {
  const std::string good = Saved("a", Old());
  const auto refused = [&](const std::vector<std::string>& parts, const std::string& why) {
    EXPECT_EQ(Merge(parts), 2) << said_;
    EXPECT_TRUE(Holds(said_, why)) << said_;
    EXPECT_FALSE(fs::exists(Path("out")));
  };
  refused({good, good}, "is there twice");
  RunRecord again = Old();
  again.date = "2026-09-02T12:00:00Z";
  refused({good, Saved("again", again)},
          "repeats what another part has: live on x86_64, 6.1.0-18-amd64, old");
  RunRecord other = New();
  other.spec_sha256 = Sha256("another");
  refused({good, Saved("other_spec", other)}, "another edition of the specification");
  other = New();
  other.tool_version = "2";
  refused({good, Saved("other_tool", other)}, "different versions of the suite, 1 and 2");
  other = New();
  other.hosts[0].evidence.pop_back();
  refused({good, Saved("short", other)}, "is incomplete: live has no result of 1 test");
  other = New();
  other.hosts[0].ended = false;
  refused({good, Saved("unended", other)}, "is incomplete: the run has not ended");
  other = New();
  other.selection = {"ATT"};
  refused({good, Saved("selection", other)}, "made with a selection");
  const std::string edited = Saved("edited", New());
  Replace(edited + "/certificate.json", "A lookup.", "A lookup, perhaps.");
  refused({good, edited}, "edited: certificate.json was changed after the run");
  refused({good, Path("none")}, "is not the directory of a certificate");
  EXPECT_EQ(Merge({good}), 0) << said_;
  EXPECT_EQ(Merge({good}), 2);
  EXPECT_TRUE(Holds(said_, "exists and is not empty")) << said_;
  // Nothing is left of what was refused.
  for (const auto& entry : fs::directory_iterator(dir_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("out.")) << entry.path();
  }
}

TEST_F(MergeTest, CheckFindsAMissingPart) {
  MergeThree();
  fs::remove_all(PartOf("aarch64"));
  EXPECT_EQ(Check(), kCheckRejected);
  EXPECT_TRUE(Holds(said_, "results.jsonl is missing")) << said_;
  SumUp(Path("out"));
  EXPECT_EQ(Check(), kCheckRejected);
  EXPECT_TRUE(Holds(said_, "merged.json does not follow from the parts")) << said_;
}

TEST_F(MergeTest, CheckFindsADoubledPart) {
  MergeThree();
  fs::copy(PartOf("aarch64"), Path("out/parts/another"));
  SumUp(Path("out"));
  EXPECT_NE(Check(), kCheckGood);
  EXPECT_TRUE(Holds(said_, "is there twice")) << said_;
}

TEST_F(MergeTest, CheckFindsAnEditedPart) {
  MergeThree();
  const std::string part = PartOf("aarch64");
  Replace(part + "/junit.xml", "One", "Won");
  EXPECT_NE(Check(), kCheckGood);
  EXPECT_TRUE(Holds(said_, "junit.xml was changed after the run")) << said_;
  SumUp(part);
  SumUp(Path("out"));
  EXPECT_NE(Check(), kCheckGood);
  EXPECT_TRUE(Holds(said_, "junit.xml does not follow from results.jsonl")) << said_;
}

// A part that is good by itself is put in the place of one that was merged.
TEST_F(MergeTest, CheckFindsAnExchangedPart) {
  MergeThree();
  const std::string part = PartOf("aarch64");
  fs::remove_all(part);
  RunRecord other = Arm();
  other.hosts[0].seconds = 3;
  fs::rename(Saved("other", other), part);
  SumUp(Path("out"));
  EXPECT_EQ(Check(), kCheckRejected);
  EXPECT_TRUE(Holds(said_, "does not bear the name of what it holds")) << said_;
}

TEST_F(MergeTest, CheckFindsIncompleteAndOlderParts) {
  for (const bool incomplete : {true, false}) {
    fs::remove_all(dir_);
    fs::create_directory(dir_);
    MergeThree();
    RunRecord other = Arm();
    if (incomplete) {
      other.hosts[0].evidence.pop_back();
    } else {
      other.spec_sha256 = Sha256("another");
    }
    fs::remove_all(PartOf("aarch64"));
    fs::rename(Saved("other", other), Path("out/parts/other"));
    SumUp(Path("out"));
    EXPECT_NE(Check(), kCheckGood);
    EXPECT_TRUE(Holds(said_, incomplete ? "is incomplete: live has no result of 1 test"
                                        : "other: it was made by another edition"))
        << said_;
  }
}

TEST_F(MergeTest, CheckFindsEditsOfWhatIsDerived) {
  for (const char* file : {"merged.json", "merged.html"}) {
    fs::remove_all(dir_);
    fs::create_directory(dir_);
    MergeThree();
    Replace(Path("out/") + file, "PASS", "FAIL");
    EXPECT_EQ(Check(), kCheckRejected);
    EXPECT_TRUE(Holds(said_, std::string(file) + " was changed after the run")) << said_;
    SumUp(Path("out"));
    EXPECT_EQ(Check(), kCheckRejected);
    EXPECT_TRUE(Holds(said_, std::string(file) + " does not follow from the parts")) << said_;
  }
}

TEST_F(MergeTest, IsFoundByItsDirectoryOrFile) {
  MergeThree();
  EXPECT_TRUE(IsMerged(Path("out")));
  EXPECT_TRUE(IsMerged(Path("out/merged.json")));
  EXPECT_FALSE(IsMerged(Path("a")));
  EXPECT_FALSE(IsMerged(Path("a/certificate.json")));
  EXPECT_EQ(Check(Path("out/merged.json")), kCheckGood) << said_;
  fs::remove(Path("out/merged.json"));
  EXPECT_TRUE(IsMerged(Path("out")));
  EXPECT_EQ(Check(), kCheckRejected);
  EXPECT_EQ(Merge({Path("out")}), 2);
}

}  // namespace
}  // namespace utrace::certify
