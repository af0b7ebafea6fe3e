#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The guide shows a file as
//   <!-- file: PATH -->
//   ```cpp
//   ...
//   ```
TEST(WritingEngines, ShowsFilesAsTheyAre) {
  const std::string guide = Contents("docs/writing-engines.md");
  const std::string marker = "<!-- file: ";
  const std::string fence = " -->\n```cpp\n";
  int shown = 0;
  for (size_t at = 0; (at = guide.find(marker, at)) != std::string::npos;) {
    at += marker.size();
    const size_t path_end = guide.find(fence, at);
    ASSERT_NE(path_end, std::string::npos);
    const std::string path = guide.substr(at, path_end - at);
    const size_t code = path_end + fence.size();
    const size_t code_end = guide.find("```\n", code);
    ASSERT_NE(code_end, std::string::npos) << path;
    EXPECT_EQ(guide.substr(code, code_end - code), Contents(path)) << path;
    at = code_end;
    ++shown;
  }
  EXPECT_EQ(shown, 3);
}

}  // namespace
