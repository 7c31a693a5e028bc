#include "core/formats/gguf/gguf_shard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/base/printable.h"

namespace hone {
namespace {

constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kLongestKey = (1 << 16) - 1;
// The least bytes that one entry takes: a name of one byte with its length, a type and a value; or the number
// of dimensions, a type and an offset.
constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 4 + 8;

// Bytes of a scalar; 0 for strings and arrays.
uint64_t ScalarBytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

bool IsGgufType(uint32_t number) { return number <= static_cast<uint32_t>(GgufType::kF64); }

// What a file that is not GGUF seems to be, from its first bytes.
std::string_view Resembles(std::string_view start) {
  struct Kind {
    std::string_view prefix, name;
  };
  static constexpr std::array kKinds = {
      Kind{"PK\x03\x04", " (a zip archive)"},
      Kind{"\x1f\x8b", " (a gzip file)"},
      Kind{"version https://git-lfs", " (a Git LFS pointer: the model itself was not downloaded)"},
      Kind{"<", " (a web page or XML: the download failed)"},
      Kind{"{", " (JSON text)"},
      Kind{"ggml", " (a GGML file from before GGUF)"},
      Kind{"lmgg", " (a GGML file from before GGUF)"},
      Kind{"tjgg", " (a GGJT file from before GGUF)"},
      Kind{"fmgg", " (a GGMF file from before GGUF)"},
      Kind{"FUGG", " (a big-endian GGUF file: hone reads little-endian ones)"},
  };
  const size_t text = std::min(start.find_first_not_of(" \t\r\n\xef\xbb\xbf"), start.size());
  for (const Kind& kind : kKinds) {
    if (start.starts_with(kind.prefix) || start.substr(text).starts_with(kind.prefix)) return kind.name;
  }
  // safetensors: a 64-bit header length, then the header's JSON
  if (start.size() > 8 && start[8] == '{') return " (a safetensors file: open its folder)";
  return "";
}

// ggml's types that hone cannot read, by their numbers.
std::string_view ForeignTypeName(uint32_t number) {
  struct Foreign {
    uint32_t number;
    std::string_view name;
  };
  static constexpr std::array kForeign = {
      Foreign{4, "Q4_2"},      Foreign{5, "Q4_3"},      Foreign{9, "Q8_1"},     Foreign{15, "Q8_K"},
      Foreign{16, "IQ2_XXS"},  Foreign{17, "IQ2_XS"},   Foreign{18, "IQ3_XXS"}, Foreign{19, "IQ1_S"},
      Foreign{21, "IQ3_S"},    Foreign{22, "IQ2_S"},    Foreign{29, "IQ1_M"},   Foreign{31, "Q4_0_4_4"},
      Foreign{32, "Q4_0_4_8"}, Foreign{33, "Q4_0_8_8"}, Foreign{34, "TQ1_0"},   Foreign{35, "TQ2_0"},
      Foreign{39, "MXFP4"},    Foreign{40, "NVFP4"},    Foreign{41, "Q1_0"},    Foreign{42, "Q2_0"},
  };
  for (const Foreign& foreign : kForeign) {
    if (foreign.number == number) return foreign.name;
  }
  return "unknown";
}

class Reader {
 public:
  explicit Reader(GgufShard& shard) : shard_(shard), path_(shard.file->path()), bytes_(shard.file->bytes()) {}

  Result<void> Read() {
    HONE_CHECK_OK(ReadHeader());
    HONE_CHECK_OK(ReadMetadata());
    HONE_CHECK_OK(ReadTensors());
    return CheckTensorData();
  }

 private:
  uint64_t left() const { return bytes_.size() - position_; }

  tl::unexpected<Error> EndsInside(std::string_view field) const {
    return BadInput(
        path_, field,
        "the file ends inside it: {} bytes are there; {} keys and {} tensors are announced, {} and {} were "
        "read: cut short",
        bytes_.size(), key_count_, tensor_count_, shard_.metadata.size(), shard_.tensors.size());
  }

  template <class T>
  bool Take(T& value) {
    if (left() < sizeof(T)) return false;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  // A string's characters, in place. False when they pass the file's end.
  bool TakeString(std::string_view& text) {
    uint64_t length = 0;
    if (!Take(length) || length > left()) return false;
    text = {reinterpret_cast<const char*>(bytes_.data() + position_), length};
    position_ += length;
    return true;
  }

  Result<void> ReadHeader() {
    if (bytes_.empty()) return BadInput(path_, "file", "empty, expected a GGUF file");
    const std::string_view start(reinterpret_cast<const char*>(bytes_.data()),
                                 std::min<size_t>(64, bytes_.size()));
    if (!start.starts_with("GGUF")) {
      return BadInput(path_, "magic", "found \"{}\"{}, expected \"GGUF\"", Printable(start.substr(0, 4)),
                      Resembles(start));
    }
    position_ = 4;
    if (!Take(shard_.version)) return EndsInside("version");
    if (shard_.version != 0 && (shard_.version & 0xffff) == 0) {
      return BadInput(path_, "version", "the file is big-endian, expected a little-endian one");
    }
    if (shard_.version != 2 && shard_.version != 3) {
      return BadInput(path_, "version", "found {}, expected 2 or 3", shard_.version);
    }
    if (!Take(tensor_count_)) return EndsInside("tensor_count");
    if (!Take(key_count_)) return EndsInside("metadata_kv_count");
    HONE_CHECK_OK(CheckCount("metadata_kv_count", "keys", key_count_, kMostGgufKeys, kLeastKeyBytes));
    return CheckCount("tensor_count", "tensors", tensor_count_, kMostGgufTensors, kLeastTensorBytes);
  }

  Result<void> CheckCount(std::string_view field, std::string_view what, uint64_t count, uint64_t most,
                          uint64_t least_bytes) const {
    if (count > most) return BadInput(path_, field, "found {} {}, expected at most {}", count, what, most);
    if (count > left() / least_bytes) {
      return BadInput(path_, field,
                      "{} {} are announced, but the file's {} bytes have room for {} at most: cut short",
                      count, what, bytes_.size(), left() / least_bytes);
    }
    return {};
  }

  Result<void> ReadMetadata() {
    shard_.metadata.reserve(key_count_);
    std::unordered_set<std::string_view> seen;
    seen.reserve(key_count_);
    for (uint64_t i = 0; i < key_count_; ++i) {
      const std::string field = fmt::format("metadata key {} of {}", i + 1, key_count_);
      std::string_view key;
      if (!TakeString(key)) return EndsInside(field);
      if (key.empty()) return BadInput(path_, field, "an empty name, expected 1 to {} bytes", kLongestKey);
      if (key.size() > kLongestKey) {
        return BadInput(path_, field, "a name of {} bytes, expected at most {}", key.size(), kLongestKey);
      }
      if (!seen.insert(key).second) {
        return BadInput(path_, Printable(key), "found twice in the metadata, expected once");
      }
      HONE_TRY(const GgufValue value, ReadValue(key));
      shard_.metadata.emplace_back(key, value);
    }
    return ReadAlignment();
  }

  Result<GgufValue> ReadValue(std::string_view key) {
    GgufValue value;
    HONE_TRY(value.type, ReadType(key));
    if (value.type == GgufType::kArray) {
      HONE_CHECK_OK(ReadArray(key, value));
      return value;
    }
    if (value.type == GgufType::kString) {
      std::string_view text;
      if (!TakeString(text)) return EndsInside(Printable(key));
      value.payload = std::as_bytes(std::span(text));
      return value;
    }
    HONE_TRY(value.payload, TakeScalars(key, value.type, 1));
    return value;
  }

  Result<GgufType> ReadType(std::string_view key) {
    uint32_t number = 0;
    if (!Take(number)) return EndsInside(Printable(key));
    if (!IsGgufType(number))
      return BadInput(path_, Printable(key), "value type {}, expected 0 to 12", number);
    return static_cast<GgufType>(number);
  }

  Result<std::span<const std::byte>> TakeScalars(std::string_view key, GgufType type, uint64_t count) {
    const uint64_t width = ScalarBytes(type);
    if (count > left() / width) return EndsInside(Printable(key));
    const auto payload = bytes_.subspan(position_, count * width);
    position_ += payload.size();
    if (type == GgufType::kBool) {
      const auto wrong = std::ranges::find_if(payload, [](std::byte byte) { return byte > std::byte{1}; });
      if (wrong != payload.end()) {
        return BadInput(path_, Printable(key), "a bool of value {}, expected 0 or 1",
                        std::to_integer<int>(*wrong));
      }
    }
    return payload;
  }

  // One walk over the elements; nothing is copied.
  Result<void> ReadArray(std::string_view key, GgufValue& value) {
    HONE_TRY(value.element_type, ReadType(key));
    if (value.element_type == GgufType::kArray) {
      return BadInput(path_, Printable(key), "an array of arrays, expected an array of scalars or strings");
    }
    if (!Take(value.count)) return EndsInside(Printable(key));
    if (value.element_type != GgufType::kString) {
      HONE_TRY(value.payload, TakeScalars(key, value.element_type, value.count));
      return {};
    }
    if (value.count > left() / sizeof(uint64_t)) return EndsInside(Printable(key));
    const uint64_t begin = position_;
    std::string_view text;
    for (uint64_t i = 0; i < value.count; ++i) {
      if (!TakeString(text)) return EndsInside(fmt::format("{}[{}]", Printable(key), i));
    }
    value.payload = bytes_.subspan(begin, position_ - begin);
    return {};
  }

  Result<void> ReadAlignment() {
    constexpr std::string_view kKey = "general.alignment";
    const GgufValue* value = FindGgufValue(shard_, kKey);
    if (value == nullptr) return {};
    HONE_TRY(const int64_t alignment, GgufInteger(path_, kKey, *value));
    if (alignment < 8 || !std::has_single_bit(static_cast<uint64_t>(alignment)) || alignment > (1 << 30)) {
      return BadInput(path_, kKey, "found {}, expected a power of two from 8 to 2^30", alignment);
    }
    alignment_ = static_cast<uint64_t>(alignment);
    return {};
  }

  Result<void> ReadTensors() {
    shard_.tensors.reserve(tensor_count_);
    for (uint64_t i = 0; i < tensor_count_; ++i) {
      const std::string field = fmt::format("tensor {} of {}", i + 1, tensor_count_);
      std::string_view name;
      if (!TakeString(name)) return EndsInside(field);
      if (name.empty()) return BadInput(path_, field, "an empty name, expected at least one byte");
      if (name.size() > kLongestKey) {
        return BadInput(path_, field, "a name of {} bytes, expected at most {}", name.size(), kLongestKey);
      }
      FileTensor tensor;
      tensor.name = name;
      tensor.file = shard_.file.get();
      HONE_CHECK_OK(ReadTensor(tensor));
      shard_.tensors.push_back(std::move(tensor));
    }
    data_begin_ = (position_ + alignment_ - 1) / alignment_ * alignment_;
    shard_.end = position_;
    return {};
  }

  Result<void> ReadTensor(FileTensor& tensor) {
    const std::string field = Printable(tensor.name);
    uint32_t dimensions = 0;
    if (!Take(dimensions)) return EndsInside(field);
    if (dimensions > kMostGgufDimensions) {
      return BadInput(path_, field, "{} dimensions, expected at most {}", dimensions, kMostGgufDimensions);
    }
    tensor.shape.resize(dimensions);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      uint64_t length = 0;
      if (!Take(length)) return EndsInside(field);
      constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
      if (length == 0 || length > kMost) {
        return BadInput(path_, field, "dimension {} is {}, expected 1 to {}", i, length, kMost);
      }
      if (__builtin_mul_overflow(elements, length, &elements) || elements > kMost) {
        return BadInput(path_, field, "the product of its dimensions overflows, expected at most {} values",
                        kMost);
      }
      tensor.shape[dimensions - 1 - i] = static_cast<int64_t>(length);
    }
    uint32_t type = 0;
    if (!Take(type) || !Take(tensor.offset)) return EndsInside(field);
    const auto known = DTypeFromGgml(type);
    if (!known) {
      return BadInput(
          path_, field,
          "tensor type {} ({}), expected F32, F16, BF16, F64, I8 to I64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
          "Q2_K to Q6_K, IQ4_NL or IQ4_XS",
          type, ForeignTypeName(type));
    }
    tensor.type = *known;
    const DTypeInfo& info = Info(*known);
    if (tensor.columns() % info.elements != 0) {
      return BadInput(path_, field, "rows of {} values, expected a multiple of {}'s {}", tensor.columns(),
                      info.name, info.elements);
    }
    if (__builtin_mul_overflow(elements / info.elements, static_cast<uint64_t>(info.bytes), &tensor.size)) {
      return BadInput(path_, field, "its {} values of {} overflow 64 bits of size", elements, info.name);
    }
    if (tensor.offset % alignment_ != 0) {
      return BadInput(path_, field, "offset {}, expected a multiple of the alignment {}", tensor.offset,
                      alignment_);
    }
    return {};
  }

  // Every tensor inside the file and beside the others; offsets become those of the file.
  Result<void> CheckTensorData() {
    uint64_t announced = shard_.end;
    uint64_t present = 0;
    const FileTensor* missing = nullptr;
    for (FileTensor& tensor : shard_.tensors) {
      uint64_t end = 0;
      if (__builtin_add_overflow(tensor.offset, data_begin_, &tensor.offset) ||
          __builtin_add_overflow(tensor.offset, tensor.size, &end)) {
        return BadInput(path_, Printable(tensor.name), "offset and size overflow 64 bits");
      }
      announced = std::max(announced, end);
      if (end <= bytes_.size()) {
        ++present;
      } else if (missing == nullptr) {
        missing = &tensor;
      }
    }
    if (missing != nullptr) {
      return BadInput(
          path_, Printable(missing->name),
          "the file announces {} bytes and {} tensors, {} bytes and {} whole tensors are there: cut short",
          announced, shard_.tensors.size(), bytes_.size(), present);
    }
    shard_.end = announced;
    return CheckOverlap();
  }

  Result<void> CheckOverlap() const {
    std::vector<const FileTensor*> order;
    order.reserve(shard_.tensors.size());
    for (const FileTensor& tensor : shard_.tensors) order.push_back(&tensor);
    std::ranges::sort(order, {}, &FileTensor::offset);
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->offset + order[i - 1]->size > order[i]->offset) {
        return BadInput(path_, Printable(order[i]->name), "its bytes overlap those of {}, expected its own",
                        Printable(order[i - 1]->name));
      }
    }
    return {};
  }

  GgufShard& shard_;
  const std::string& path_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  uint64_t tensor_count_ = 0;
  uint64_t key_count_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
  uint64_t data_begin_ = 0;
};

template <class T>
T Load(const GgufValue& value) {
  T number;
  std::memcpy(&number, value.payload.data(), sizeof(T));
  return number;
}

}  // namespace

Result<GgufShard> ReadGgufShard(const std::string& path) {
  GgufShard shard;
  HONE_TRY(MappedFile file, MappedFile::Open(path));
  shard.file = std::make_unique<MappedFile>(std::move(file));
  HONE_CHECK_OK(Reader(shard).Read());
  return shard;
}

const GgufValue* FindGgufValue(const GgufShard& shard, std::string_view key) {
  for (const auto& [name, value] : shard.metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<int64_t> GgufInteger(const std::string& path, std::string_view key, const GgufValue& value) {
  switch (value.type) {
    case GgufType::kU8:
      return Load<uint8_t>(value);
    case GgufType::kI8:
      return Load<int8_t>(value);
    case GgufType::kU16:
      return Load<uint16_t>(value);
    case GgufType::kI16:
      return Load<int16_t>(value);
    case GgufType::kU32:
      return Load<uint32_t>(value);
    case GgufType::kI32:
      return Load<int32_t>(value);
    case GgufType::kI64:
      return Load<int64_t>(value);
    case GgufType::kU64: {
      const auto number = Load<uint64_t>(value);
      constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
      if (number > static_cast<uint64_t>(kMost)) {
        return BadInput(path, Printable(key), "found {}, expected at most {}", number, kMost);
      }
      return static_cast<int64_t>(number);
    }
    default:
      return BadInput(path, Printable(key), "a value of type {}, expected an integer", Name(value.type));
  }
}

}  // namespace hone
