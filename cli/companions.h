// Finds the files that belong to the `utrace` command: the implementation, the clause tests.
#ifndef CLI_COMPANIONS_H_
#define CLI_COMPANIONS_H_

#include <string>
#include <string_view>
#include <vector>

namespace utrace::cli {

// Where the files may lie, best first.
class Companions {
 public:
  // For the running program: in its Bazel runfiles, those of the test or program that it is part of
  // ($RUNFILES_DIR, $TEST_SRCDIR), beside it, in ../lib/utrace from there, or in the tree that it was built in.
  static Companions OfThisProgram();

  struct Place {
    std::string directory;
    bool runfiles = false;  // laid out as the source tree, else flat
  };
  explicit Companions(std::vector<Place> places) : places_(std::move(places)) {}

  // The file with this path in the source tree ("core/libutrace.so"); elsewhere its last component
  // counts. Empty, and *error says where it was looked for, if it is nowhere.
  std::string Find(std::string_view path, std::string* error) const;

 private:
  std::vector<Place> places_;
};

// The absolute path of the running program; empty if the kernel does not tell.
std::string ThisProgram();

}  // namespace utrace::cli

#endif  // CLI_COMPANIONS_H_
