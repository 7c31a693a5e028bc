// SHA-256 of bytes and files.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hone {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits; called once, at the end.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Of a whole file, with a progress bar where it takes long.
Result<std::string> Sha256OfFile(const std::string& path, std::string_view label);

// Whether `text` is 64 hexadecimal digits of any case.
bool IsSha256(std::string_view text);

}  // namespace hone
