// SHA-256 sums, as sha256sum(1) prints them.
#ifndef CONFORMANCE_CERTIFY_DIGEST_H_
#define CONFORMANCE_CERTIFY_DIGEST_H_

#include <string>
#include <string_view>

namespace utrace::certify {

// 64 hexadecimal digits. Throws std::bad_alloc without memory, as strings do.
std::string Sha256(std::string_view bytes);

// Of a file's content; empty, and *error says why (without the path), if it cannot be read.
std::string Sha256OfFile(const std::string& path, std::string* error);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_DIGEST_H_
