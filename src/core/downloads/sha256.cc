#include "core/downloads/sha256.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/progress.h"

namespace hone {

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr);
}

Sha256::~Sha256() = default;

void Sha256::Update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size());
}

std::string Sha256::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context_->digest, digest, &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Result<std::string> Sha256OfFile(const std::string& path, std::string_view label) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed("{}: {}", path, std::strerror(errno));
  struct stat status {};
  fstat(file, &status);
  Progress progress(std::string(label), static_cast<uint64_t>(status.st_size), Progress::Unit::kBytes);
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  uint64_t done = 0;
  ssize_t count = 0;
  while ((count = read(file, buffer.data(), buffer.size())) > 0) {
    hash.Update({buffer.data(), static_cast<size_t>(count)});
    progress.Update(done += static_cast<uint64_t>(count));
  }
  const int problem = errno;
  close(file);
  if (count < 0) return Failed("{}: {}", path, std::strerror(problem));
  return hash.Finish();
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace hone
