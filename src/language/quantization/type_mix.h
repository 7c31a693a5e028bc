// Which type each tensor of a model gets: "Q4_K_M" is a mix of types, and rows that a type does not fit take
// another. The choices are those of llama.cpp, so that a file of a name is what its users expect.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

enum class MixSize : uint8_t { kPlain, kSmall, kMedium, kLarge };

struct TypeMix {
  std::string_view name;  // "Q4_K_M"
  DType base;             // the type of most matrices
  MixSize size;
  uint32_t file_type;  // the number under general.file_type
};

// Q4_0, Q4_1, ..., F32. "Q3_K", "Q4_K" and "Q5_K" are their _M.
std::span<const TypeMix> TypeMixes();
// Any letter case; the error lists the names.
Result<TypeMix> FindTypeMix(std::string_view name);

// What the choice depends on besides the tensor.
struct MixedModel {
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  bool tied = false;        // the embedding is the head too
  bool importance = false;  // errors are weighted by calibration
};

struct NamedShape {
  std::string_view name;
  std::span<const int64_t> shape;  // row-major
  DType type;                      // that it has now
};

struct TypeChoice {
  DType type;    // what it is stored as
  DType wanted;  // what the mix or the user asked for; another one where rows do not fit
  bool forced = false;
};

// Tensors that the user gave a type: the name, in which * stands for any characters, and the type.
using ForcedTypes = std::vector<std::pair<std::string, DType>>;

// One choice a tensor. Vectors, norms and other tensors that are no matrices keep their type. `uniform`: all
// matrices get the base type. Refused by name: a forced type that the rows do not fit, a forced name that no
// matrix has.
Result<std::vector<TypeChoice>> ChooseTypes(const TypeMix& mix, const MixedModel& model,
                                            std::span<const NamedShape> tensors, const ForcedTypes& forced,
                                            bool uniform);

// The type that takes the place of `wanted` in rows of `columns` values; `wanted` itself where it fits.
DType SubstituteType(DType wanted, int64_t columns);

}  // namespace hone
