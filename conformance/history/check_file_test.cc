// Files: good, broken and hostile.
#include "conformance/history/check_file.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "conformance/history/script.h"

namespace utrace::history {
namespace {

struct Checked {
  int code;
  std::string out;
  std::string err;
};

std::string ReadAll(FILE* file) {
  rewind(file);
  std::string text;
  for (int c; (c = fgetc(file)) != EOF;) text.push_back(static_cast<char>(c));
  fclose(file);
  return text;
}

Checked Check(const std::string& text) {
  const std::string path = std::string(getenv("TEST_TMPDIR")) + "/history";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  FILE* out = tmpfile();
  FILE* err = tmpfile();
  const int code = CheckFile(path, out, err);
  return {code, ReadAll(out), ReadAll(err)};
}

TEST(CheckFile, SaysWhatIsBrokenAndShowsTheLines) {
  Script bad = Attached(kEntry);
  bad.Control(UTRACE_DETACH, 0).Call("report_syscall_entry");
  const Checked checked = Check(bad.Text());
  EXPECT_EQ(1, checked.code);
  EXPECT_NE(std::string::npos, checked.out.find("CTL-10")) << checked.out;
  EXPECT_NE(std::string::npos, checked.out.find("line 7: {\"return\":3")) << checked.out;
  EXPECT_NE(std::string::npos, checked.out.find("line 8: {\"begin\":4")) << checked.out;
  EXPECT_EQ(0, Check(Attached(kEntry).Text()).code);
}

TEST(CheckFile, AnyCutIsSeen) {
  const std::string text = Attached(kEntry).Text();
  for (size_t size = 0; size < text.size(); ++size) {
    const Checked checked = Check(text.substr(0, size));
    EXPECT_EQ(3, checked.code) << size;
    EXPECT_NE(std::string::npos, checked.err.find("line ")) << checked.err;
  }
}

TEST(CheckFile, HostileFilesGiveALineAndAReason) {
  const std::string header = "{\"format\":\"utrace-history-1\"}\n";
  const std::vector<std::string> bodies = {
      "[]\n",
      "{\"begin\":1}\n",
      "{\"begin\":-1,\"what\":\"attach\",\"task\":1}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":4294967296}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":1.5}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":1,\"colour\":2}\n",
      "{\"begin\":1,\"what\":\"walk\",\"task\":1}\n",
      "{\"return\":1,\"result\":0}\n",
      "{\"return\":1,\"result\":18446744073709551615}\n",
      "{\"end\":7}\n",
      "{\"end\":0}\nmore\n",
      std::string(3, '\0') + "\n",
      "\xff\xfe\n",
      std::string(4000, '[') + "\n",
      std::string(100000, ' ') + "\n"};
  for (const std::string& body : bodies) {
    const Checked checked = Check(header + body);
    EXPECT_EQ(3, checked.code) << body;
    EXPECT_TRUE(checked.err.find("line 2: ") != std::string::npos ||
                checked.err.find("line 3: ") != std::string::npos)
        << checked.err;
  }
  EXPECT_EQ(3, Check("{\"format\":\"something else\"}\n").code);
}

TEST(CheckFile, SaysWhatCannotBeRead) {
  for (const char* path : {"/nonexistent/history", "/"}) {
    FILE* none = tmpfile();
    EXPECT_EQ(3, CheckFile(path, none, none));
    const std::string said = ReadAll(none);
    EXPECT_NE(std::string::npos, said.find("cannot be read")) << said;
  }
}

TEST(CheckFile, AVerdictThatCannotBeWrittenIsNone) {
  const std::string path = std::string(getenv("TEST_TMPDIR")) + "/history";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << Attached(kEntry).Text();
  FILE* full = fopen("/dev/full", "w");
  ASSERT_NE(nullptr, full);
  FILE* err = tmpfile();
  EXPECT_EQ(3, CheckFile(path, full, err));
  fclose(full);
  const std::string said = ReadAll(err);
  EXPECT_NE(std::string::npos, said.find("No space left on device")) << said;
}

TEST(CheckFile, NothingInAFileActsOnATerminal) {
  Script bad;
  const int call = bad.Begin("attach");
  bad.Return(call, 0, ",\"engine\":1").Call("report_syscall_entry");
  std::string text = bad.Text();
  // JSON lets blanks stand anywhere, and the header hold any text; a witness is a line as it was.
  const size_t at = text.find("\"what\":\"report_syscall_entry\"");
  ASSERT_NE(std::string::npos, at);
  text.insert(at, "\t");
  const Checked checked = Check(text);
  EXPECT_EQ(1, checked.code) << checked.err;
  EXPECT_EQ(std::string::npos, checked.out.find('\t'));
}

}  // namespace
}  // namespace utrace::history
