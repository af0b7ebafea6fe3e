#include "conformance/certify/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <new>

namespace utrace::certify {
namespace {

class Hash {
 public:
  Hash() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
      throw std::bad_alloc();
    }
  }
  void Add(const void* bytes, size_t size) {
    if (EVP_DigestUpdate(context_.get(), bytes, size) != 1) throw std::bad_alloc();
  }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) != 1) throw std::bad_alloc();
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string hex;
    for (unsigned int n = 0; n < size; ++n) {
      hex += kDigits[bytes[n] >> 4];
      hex += kDigits[bytes[n] & 15];
    }
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256(std::string_view bytes) {
  Hash hash;
  hash.Add(bytes.data(), bytes.size());
  return hash.Hex();
}

std::string Sha256OfFile(const std::string& path, std::string* error) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  Hash hash;
  std::array<char, 65536> buffer;
  ssize_t size = fd < 0 ? -1 : 1;
  while (size > 0) {
    size = read(fd, buffer.data(), buffer.size());
    if (size > 0) hash.Add(buffer.data(), size);
    if (size < 0 && errno == EINTR) size = 1;
  }
  if (size < 0) *error = strerror(errno);
  if (fd >= 0) close(fd);
  return size < 0 ? "" : hash.Hex();
}

}  // namespace utrace::certify
