#include "core/formats/gguf/gguf_writer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/printable.h"
#include "core/formats/gguf/gguf_shard.h"

namespace hone {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kVersion = 3;

uint64_t Padded(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void AppendString(std::string& bytes, std::string_view text) {
  Append<uint64_t>(bytes, text.size());
  bytes += text;
}

void AppendBytes(std::string& bytes, std::span<const std::byte> more) {
  bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
}

std::string ArrayHead(GgufType type, uint64_t count) {
  std::string bytes;
  Append(bytes, static_cast<uint32_t>(GgufType::kArray));
  Append(bytes, static_cast<uint32_t>(type));
  Append<uint64_t>(bytes, count);
  return bytes;
}

}  // namespace

void GgufHeader::SetEncoded(std::string_view key, std::string encoded) {
  const auto found =
      std::ranges::find(metadata_, key, [](const auto& entry) { return std::string_view(entry.first); });
  if (found != metadata_.end()) {
    found->second = std::move(encoded);
  } else {
    metadata_.emplace_back(key, std::move(encoded));
  }
}

void GgufHeader::SetBytes(std::string_view key, GgufType type, std::span<const std::byte> payload) {
  std::string bytes;
  Append(bytes, static_cast<uint32_t>(type));
  AppendBytes(bytes, payload);
  SetEncoded(key, std::move(bytes));
}

void GgufHeader::SetArrayBytes(std::string_view key, GgufType type, uint64_t count,
                               std::span<const std::byte> payload) {
  std::string bytes = ArrayHead(type, count);
  AppendBytes(bytes, payload);
  SetEncoded(key, std::move(bytes));
}

void GgufHeader::SetText(std::string_view key, std::string_view text) {
  std::string bytes;
  Append(bytes, static_cast<uint32_t>(GgufType::kString));
  AppendString(bytes, text);
  SetEncoded(key, std::move(bytes));
}

void GgufHeader::SetTexts(std::string_view key, std::span<const std::string> texts) {
  std::string bytes = ArrayHead(GgufType::kString, texts.size());
  for (const std::string& text : texts) AppendString(bytes, text);
  SetEncoded(key, std::move(bytes));
}

void GgufHeader::Copy(std::string_view key, const GgufValue& value) {
  const std::string_view text(reinterpret_cast<const char*>(value.payload.data()), value.payload.size());
  if (value.type == GgufType::kArray) {
    SetArrayBytes(key, value.element_type, value.count, value.payload);
  } else if (value.type == GgufType::kString) {
    SetText(key, text);
  } else {
    SetBytes(key, value.type, value.payload);
  }
}

void GgufHeader::Remove(std::string_view key) {
  std::erase_if(metadata_, [&](const auto& entry) { return entry.first == key; });
}

Result<void> GgufHeader::AddTensor(std::string_view name, DType type, std::vector<int64_t> shape) {
  const std::string shown = name.empty() ? "a tensor without a name" : Printable(name);
  if (name.empty()) return WrongUsage("{}: expected a name", shown);
  if (names_.contains(std::string(name))) {
    return WrongUsage("{}: a second tensor of this name, expected one", shown);
  }
  if (shape.size() > kMostGgufDimensions) {
    return WrongUsage("{}: {} dimensions, expected at most {}", shown, shape.size(), kMostGgufDimensions);
  }
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  int64_t elements = 1;
  for (const int64_t length : shape) {
    if (length < 1) return WrongUsage("{}: a dimension of {}, expected at least 1", shown, length);
    if (__builtin_mul_overflow(elements, length, &elements)) {
      return WrongUsage("{}: its dimensions multiply to more than {}", shown, kMost);
    }
  }
  const DTypeInfo& info = Info(type);
  const int64_t columns = shape.empty() ? 1 : shape.back();
  if (columns % info.elements != 0) {
    return WrongUsage("{}: rows of {} values do not fit {}, expected a multiple of {}", shown, columns,
                      info.name, info.elements);
  }
  int64_t size = 0;
  int64_t end = 0;
  if (__builtin_mul_overflow(elements / info.elements, int64_t{info.bytes}, &size) ||
      __builtin_add_overflow(size, static_cast<int64_t>(end_ + kAlignment), &end)) {
    return WrongUsage("{}: more than {} bytes of tensors", shown, kMost);
  }
  tensors_.push_back({std::string(name), type, std::move(shape), static_cast<uint64_t>(size), end_});
  end_ = Padded(end_ + static_cast<uint64_t>(size));
  names_.insert(tensors_.back().name);
  return {};
}

std::string GgufHeader::Encode() const {
  std::string bytes = "GGUF";
  Append(bytes, kVersion);
  Append<uint64_t>(bytes, tensors_.size());
  Append<uint64_t>(bytes, metadata_.size());
  for (const auto& [key, encoded] : metadata_) {
    AppendString(bytes, key);
    bytes += encoded;
  }
  for (const Tensor& tensor : tensors_) {
    AppendString(bytes, tensor.name);
    Append(bytes, static_cast<uint32_t>(tensor.shape.size()));
    for (auto length = tensor.shape.rbegin(); length != tensor.shape.rend(); ++length) {
      Append(bytes, static_cast<uint64_t>(*length));
    }
    Append(bytes, static_cast<uint32_t>(Info(tensor.type).ggml_id));
    Append<uint64_t>(bytes, tensor.offset);
  }
  bytes.resize(Padded(bytes.size()), '\0');
  return bytes;
}

Result<GgufWriter> GgufWriter::Create(const std::string& path, GgufHeader header) {
  header.Remove("general.alignment");  // of the file it was copied from
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  const std::string encoded = header.Encode();
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(encoded))));
  return GgufWriter(path, std::move(header), std::move(file));
}

Result<void> GgufWriter::Write(std::span<const std::byte> bytes) {
  static constexpr std::array<std::byte, kAlignment> kPadding{};
  while (!bytes.empty()) {
    if (tensor_ == header_.tensors().size()) {
      return Failed("{}: {} bytes more than its tensors hold", path_, bytes.size());
    }
    const GgufHeader::Tensor& tensor = header_.tensors()[tensor_];
    const auto piece = bytes.first(std::min<uint64_t>(bytes.size(), tensor.size - written_));
    HONE_CHECK_OK(file_.Write(piece));
    bytes = bytes.subspan(piece.size());
    written_ += piece.size();
    if (written_ < tensor.size) continue;
    HONE_CHECK_OK(file_.Write(std::span(kPadding).first(Padded(tensor.size) - tensor.size)));
    ++tensor_;
    written_ = 0;
  }
  return {};
}

Result<void> GgufWriter::Finish() {
  if (tensor_ < header_.tensors().size()) {
    const GgufHeader::Tensor& tensor = header_.tensors()[tensor_];
    return Failed("{}: {}: {} of {} bytes were written", path_, Printable(tensor.name), written_,
                  tensor.size);
  }
  return file_.Commit();
}

}  // namespace hone
