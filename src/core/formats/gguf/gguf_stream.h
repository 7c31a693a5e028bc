// Writes a GGUF file tensor by tensor in a way that survives a kill: the next process with the same header
// and key goes on at the row where the last one noted its place.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/resumable_file.h"
#include "core/formats/gguf/gguf_writer.h"

namespace hone {

class GgufStream {
 public:
  // `key` says what the tensors' bytes are made from; the header is part of it by itself.
  static Result<GgufStream> Open(const std::string& path, GgufHeader header, std::string_view key);

  // Where the next byte goes: `tensor` == header().tensors().size() after the last one.
  size_t tensor() const { return tensor_; }
  uint64_t offset() const { return offset_; }    // in that tensor
  uint64_t resumed() const { return resumed_; }  // tensor bytes that an earlier process wrote
  const GgufHeader& header() const { return header_; }

  // The next bytes, none beyond the end of the tensor; the padding between tensors is added here.
  Result<void> Write(std::span<const std::byte> bytes);
  Result<void> Checkpoint() { return file_.Checkpoint(); }
  // Refused while bytes are missing, by the name of the tensor that lacks them.
  Result<void> Finish();

 private:
  GgufStream(std::string path, GgufHeader header, ResumableFile file)
      : path_(std::move(path)), header_(std::move(header)), file_(std::move(file)) {}

  std::string path_;
  GgufHeader header_;
  ResumableFile file_;
  size_t tensor_ = 0;
  uint64_t offset_ = 0;
  uint64_t resumed_ = 0;
};

}  // namespace hone
