#include "cli/companions.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <filesystem>
#include <system_error>

namespace utrace::cli {
namespace {

namespace fs = std::filesystem;

// The workspace's name, which runfiles have as their top directory.
constexpr char kWorkspace[] = "utrace";

}  // namespace

std::string ThisProgram() {
  std::error_code code;
  const fs::path path = fs::read_symlink("/proc/self/exe", code);
  return code ? "" : path.string();
}

Companions Companions::OfThisProgram() {
  std::vector<Place> places;
  const fs::path program = ThisProgram();
  if (!program.empty()) {
    places.push_back({program.string() + ".runfiles/" + kWorkspace, /*runfiles=*/true});
  }
  for (const char* name : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
    const char* value = getenv(name);
    if (value != nullptr && *value != '\0') {
      places.push_back({fmt::format("{}/{}", value, kWorkspace), /*runfiles=*/true});
    }
  }
  if (!program.empty()) {
    const fs::path directory = program.parent_path();
    places.push_back({directory.string()});
    places.push_back({(directory.parent_path() / "lib" / kWorkspace).string()});
    // Built as part of something else, it has no runfiles of its own, but lies in the tree that was built.
    places.push_back({directory.parent_path().string(), /*runfiles=*/true});
  }
  return Companions(std::move(places));
}

std::string Companions::Find(std::string_view path, std::string* error) const {
  const std::string name = fs::path(path).filename();
  std::string looked;
  for (const Place& place : places_) {
    const fs::path candidate = fs::path(place.directory) / (place.runfiles ? path : name);
    std::error_code code;
    if (fs::is_regular_file(candidate, code)) return candidate;
    looked += "\n  " + candidate.string();
  }
  *error = fmt::format(
      "cannot find {}, which belongs to this program. It was looked for at:{}\nBuild all of it "
      "with "
      "`bazel build //cli:utrace`, or install the file beside the program",
      name, looked);
  return "";
}

}  // namespace utrace::cli
