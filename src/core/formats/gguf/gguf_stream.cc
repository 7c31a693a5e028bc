#include "core/formats/gguf/gguf_stream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>

namespace hone {
namespace {

constexpr uint64_t kAlignment = 32;

uint64_t Padded(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Result<GgufStream> GgufStream::Open(const std::string& path, GgufHeader header, std::string_view key) {
  header.Remove("general.alignment");  // of the file it was copied from
  const std::string encoded = header.Encode();
  const std::string whole_key = fmt::format("{:016x}-{:016x}", XXH3_64bits(encoded.data(), encoded.size()),
                                            XXH3_64bits(key.data(), key.size()));
  HONE_TRY(ResumableFile file, ResumableFile::Open(path, whole_key));
  GgufStream stream(path, std::move(header), std::move(file));
  if (stream.file_.size() < encoded.size()) {
    // Checkpoints come after the header, so nothing is there yet.
    HONE_CHECK_OK(stream.file_.Write(std::as_bytes(std::span(encoded))));
    return stream;
  }
  const uint64_t position = stream.file_.size() - encoded.size();
  const auto& tensors = stream.header_.tensors();
  while (stream.tensor_ < tensors.size() &&
         position >= tensors[stream.tensor_].offset + Padded(tensors[stream.tensor_].size)) {
    stream.resumed_ += tensors[stream.tensor_++].size;
  }
  if (stream.tensor_ < tensors.size()) stream.offset_ = position - tensors[stream.tensor_].offset;
  stream.resumed_ += stream.offset_;
  return stream;
}

Result<void> GgufStream::Write(std::span<const std::byte> bytes) {
  static constexpr std::array<std::byte, kAlignment> kPadding{};
  if (tensor_ == header_.tensors().size() || bytes.size() > header_.tensors()[tensor_].size - offset_) {
    return Failed("{}: more bytes than its tensors hold", path_);
  }
  HONE_CHECK_OK(file_.Write(bytes));
  offset_ += bytes.size();
  const uint64_t size = header_.tensors()[tensor_].size;
  if (offset_ < size) return {};
  ++tensor_;
  offset_ = 0;
  return file_.Write(std::span(kPadding).first(Padded(size) - size));
}

Result<void> GgufStream::Finish() {
  if (tensor_ < header_.tensors().size()) {
    const GgufHeader::Tensor& tensor = header_.tensors()[tensor_];
    return Failed("{}: {}: {} of {} bytes were written", path_, tensor.name, offset_, tensor.size);
  }
  return file_.Commit();
}

}  // namespace hone
