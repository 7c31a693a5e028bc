// Writing and reading the numbers of a snapshot, little-endian. What is read is checked: a snapshot may be
// any bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/result.h"

namespace hone {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::string_view kSnapshotName = "KV snapshot";

template <class T>
void AppendBytes(const T& value, std::string& bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// Reads a snapshot from its start; an error names the field that is cut short.
class SnapshotReader {
 public:
  explicit SnapshotReader(std::string_view bytes) : rest_(bytes) {}

  std::string_view rest() const { return rest_; }

  Result<std::string_view> Bytes(std::string_view field, uint64_t count) {
    if (count > rest_.size()) {
      return BadInput(kSnapshotName, field, "{} bytes left, {} expected", rest_.size(), count);
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  template <class T>
  Result<T> Number(std::string_view field) {
    HONE_TRY(const std::string_view bytes, Bytes(field, sizeof(T)));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  // A number that must be this one.
  template <class T>
  Result<void> Expect(std::string_view field, T expected) {
    HONE_TRY(const T found, Number<T>(field));
    if (found != expected) return BadInput(kSnapshotName, field, "{} found, {} expected", found, expected);
    return {};
  }

 private:
  std::string_view rest_;
};

}  // namespace hone
