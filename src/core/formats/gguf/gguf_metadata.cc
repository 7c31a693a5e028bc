// The typed reads of a GGUF file's metadata.
#include <cstring>

#include "core/base/printable.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/gguf_shard.h"

namespace hone {
namespace {

template <class T>
T Load(const GgufValue& value) {
  T number;
  std::memcpy(&number, value.payload.data(), sizeof(T));
  return number;
}

// "array of strings", "u32": what was found
std::string Describe(const GgufValue& value) {
  if (value.type != GgufType::kArray) return fmt::format("a value of type {}", Name(value.type));
  return fmt::format("an array of {} {}", value.count, Name(value.element_type));
}

Result<double> ToReal(const std::string& path, std::string_view key, const GgufValue& value) {
  if (value.type == GgufType::kF32) return Load<float>(value);
  if (value.type == GgufType::kF64) return Load<double>(value);
  if (value.type == GgufType::kU64) return static_cast<double>(Load<uint64_t>(value));
  auto integer = GgufInteger(path, key, value);
  if (!integer) return BadInput(path, Printable(key), "{}, expected a number", Describe(value));
  return static_cast<double>(*integer);
}

Result<bool> ToBoolean(const std::string& path, std::string_view key, const GgufValue& value) {
  if (value.type != GgufType::kBool)
    return BadInput(path, Printable(key), "{}, expected a bool", Describe(value));
  return value.payload[0] != std::byte{0};
}

// A list may take what the file takes plus a margin: an array of bytes that pretends to be a list of numbers
// may not make the reader allocate eight times the file.
uint64_t MostElements(const GgufFile& file, uint64_t element_bytes) {
  constexpr uint64_t kMargin = 16 << 20;
  return (file.shards().front()->bytes().size() + kMargin) / element_bytes;
}

// The elements of an array of scalars through `convert`, or the one scalar.
template <class T, class Convert>
Result<std::optional<std::vector<T>>> ToList(const GgufFile& file, std::string_view key, Convert convert) {
  const GgufValue* value = file.Find(key);
  const std::string& path = file.path();
  if (value == nullptr) return std::nullopt;
  std::vector<T> list;
  if (value->type != GgufType::kArray) {
    HONE_TRY(const auto element, convert(path, key, *value));
    list.push_back(static_cast<T>(element));
    return list;
  }
  if (value->count == 0) return list;
  if (value->element_type == GgufType::kString) {
    return BadInput(path, Printable(key), "{}, expected an array of another type", Describe(*value));
  }
  if (value->count > MostElements(file, sizeof(T))) {
    return BadInput(path, Printable(key), "{}, expected at most {} elements", Describe(*value),
                    MostElements(file, sizeof(T)));
  }
  const uint64_t width = value->payload.size() / value->count;
  list.reserve(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    GgufValue element;
    element.type = value->element_type;
    element.payload = value->payload.subspan(i * width, width);
    HONE_TRY(const auto converted, convert(path, key, element));
    list.push_back(static_cast<T>(converted));
  }
  return list;
}

}  // namespace

Result<std::optional<int64_t>> GgufFile::Integer(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  HONE_TRY(const int64_t number, GgufInteger(path(), key, *value));
  return number;
}

Result<std::optional<double>> GgufFile::Real(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  HONE_TRY(const double number, ToReal(path(), key, *value));
  return number;
}

Result<std::optional<bool>> GgufFile::Boolean(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  HONE_TRY(const bool truth, ToBoolean(path(), key, *value));
  return truth;
}

Result<std::optional<std::string_view>> GgufFile::Text(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) {
    return BadInput(path(), Printable(key), "{}, expected a string", Describe(*value));
  }
  return std::string_view(reinterpret_cast<const char*>(value->payload.data()), value->payload.size());
}

Result<std::optional<std::vector<int64_t>>> GgufFile::Integers(std::string_view key) const {
  return ToList<int64_t>(*this, key, GgufInteger);
}

Result<std::optional<std::vector<float>>> GgufFile::Reals(std::string_view key) const {
  return ToList<float>(*this, key, ToReal);
}

Result<std::optional<std::vector<bool>>> GgufFile::Booleans(std::string_view key) const {
  return ToList<bool>(*this, key, ToBoolean);
}

Result<std::optional<GgufStrings>> GgufFile::Strings(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  const bool is_array = value->type == GgufType::kArray;
  if (is_array && value->count == 0) return GgufStrings();
  if (!is_array || value->element_type != GgufType::kString) {
    return BadInput(path(), Printable(key), "{}, expected an array of strings", Describe(*value));
  }
  return GgufStrings(value->payload, value->count);
}

Result<std::optional<std::vector<std::string_view>>> GgufFile::Texts(std::string_view key) const {
  HONE_TRY(const auto strings, Strings(key));
  if (!strings) return std::nullopt;
  const uint64_t most = MostElements(*this, sizeof(std::string_view));
  if (strings->size() > most) {
    return BadInput(path(), Printable(key), "an array of {} strings, expected at most {}", strings->size(),
                    most);
  }
  std::vector<std::string_view> list;
  list.reserve(strings->size());
  for (const std::string_view text : *strings) list.push_back(text);
  return list;
}

}  // namespace hone
