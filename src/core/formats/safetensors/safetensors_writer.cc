#include "core/formats/safetensors/safetensors_writer.h"

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

bool IsPlain(DType type) { return Info(type).elements == 1; }

// Bytes that the shape takes, or nothing where that passes 2^63.
Result<uint64_t> BytesOf(const NewTensor& tensor) {
  uint64_t bytes = static_cast<uint64_t>(Info(tensor.type).bytes);
  for (const int64_t size : tensor.shape) {
    if (size < 1) return WrongUsage("{}: a dimension of {}, expected at least 1", tensor.name, size);
    if (bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / size))
      return WrongUsage("{}: its shape multiplies to more than 2^63 bytes", tensor.name);
    bytes *= static_cast<uint64_t>(size);
  }
  return bytes;
}

}  // namespace

Result<std::string> EncodeSafetensors(std::span<const NewTensor> tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t end = 0;
  for (const NewTensor& tensor : tensors) {
    if (header.contains(tensor.name)) return WrongUsage("{}: a second tensor of this name", tensor.name);
    if (!IsPlain(tensor.type))
      return WrongUsage("{}: type {}, which safetensors cannot hold", tensor.name, Info(tensor.type).name);
    HONE_TRY(const uint64_t bytes, BytesOf(tensor));
    if (bytes != tensor.bytes.size())
      return WrongUsage("{}: {} bytes, but its shape and type take {}", tensor.name, tensor.bytes.size(),
                        bytes);
    header[tensor.name] = {
        {"dtype", Info(tensor.type).name}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  file += text;
  for (const NewTensor& tensor : tensors)
    file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  return file;
}

}  // namespace hone
