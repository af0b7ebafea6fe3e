// Small helpers for text and files.
#ifndef CONFORMANCE_CERTIFY_TEXT_H_
#define CONFORMANCE_CERTIFY_TEXT_H_

#include <string>
#include <string_view>

namespace utrace::certify {

// The file's content; empty if it cannot be read.
std::string ReadFile(const std::string& path);

// The same, but false and *error (the reason alone) where it cannot be read.
bool ReadWholeFile(const std::string& path, std::string* text, std::string* error);

// Writes the file under a temporary name, then renames it, so that readers never see half of it.
// False and *error (which names the file, and the reason) on failure.
bool WriteFile(const std::string& path, std::string_view content, std::string* error);

// Without blanks and newlines at both ends.
std::string_view Trimmed(std::string_view text);

// The last `count` lines, trimmed.
std::string_view LastLines(std::string_view text, int count);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_TEXT_H_
