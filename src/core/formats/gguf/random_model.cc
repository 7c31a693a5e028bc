#include "core/formats/gguf/random_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/formats/gguf/gguf_writer.h"
#include "core/formats/gguf/random_blocks.h"
#include "core/formats/gguf/random_vocabulary.h"

namespace hone {
namespace {

constexpr std::array kShapes = {
    RandomModelShape{.name = "llama-1.1b",
                     .layers = 22,
                     .width = 2048,
                     .heads = 32,
                     .kv_heads = 4,
                     .feed_forward = 5632,
                     .vocabulary = 32000,
                     .context = 2048},
    RandomModelShape{.name = "llama-160m",
                     .layers = 12,
                     .width = 768,
                     .heads = 12,
                     .kv_heads = 12,
                     .feed_forward = 3072,
                     .vocabulary = 32000,
                     .context = 2048},
    RandomModelShape{.name = "llama-tiny",
                     .layers = 2,
                     .width = 256,
                     .heads = 4,
                     .kv_heads = 2,
                     .feed_forward = 512,
                     .vocabulary = 512,
                     .context = 256},
};

constexpr std::array kTypes = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,   DType::kQ4_1,
                               DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K,   DType::kQ3_K,
                               DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

// The number under general.file_type that says "mostly this type" (llama.h, enum llama_ftype).
uint32_t FileType(DType type) {
  static constexpr std::array<uint32_t, kTypes.size()> kNumbers = {0,  1,  32, 2,  3,  8,  9, 7,
                                                                   10, 12, 15, 17, 18, 25, 30};
  return kNumbers[std::ranges::find(kTypes, type) - kTypes.begin()];
}

void SetModelKeys(const RandomModelShape& shape, DType type, uint64_t seed, GgufHeader& header) {
  header.SetText("general.architecture", "llama");
  header.SetText("general.name", fmt::format("random {} in {}, seed {}", shape.name, Info(type).name, seed));
  header.Set("general.file_type", FileType(type));
  header.Set("general.quantization_version", uint32_t{2});
  const auto set = [&](std::string_view key, int64_t value) {
    header.Set(key, static_cast<uint32_t>(value));
  };
  set("llama.block_count", shape.layers);
  set("llama.context_length", shape.context);
  set("llama.embedding_length", shape.width);
  set("llama.feed_forward_length", shape.feed_forward);
  set("llama.attention.head_count", shape.heads);
  set("llama.attention.head_count_kv", shape.kv_heads);
  set("llama.rope.dimension_count", shape.width / shape.heads);
  set("llama.vocab_size", shape.vocabulary);
  header.Set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  header.Set("llama.rope.freq_base", 10000.0f);
}

Result<void> AddTensors(const RandomModelShape& shape, DType type, GgufHeader& header) {
  const int64_t width = shape.width;
  const int64_t kv_width = width / shape.heads * shape.kv_heads;
  const auto norm = [&](const std::string& name) { return header.AddTensor(name, DType::kF32, {width}); };
  HONE_CHECK_OK(header.AddTensor("token_embd.weight", type, {shape.vocabulary, width}));
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string block = fmt::format("blk.{}.", layer);
    const auto matrix = [&](std::string_view name, int64_t rows, int64_t columns) {
      return header.AddTensor(fmt::format("{}{}.weight", block, name), type, {rows, columns});
    };
    HONE_CHECK_OK(norm(block + "attn_norm.weight"));
    HONE_CHECK_OK(matrix("attn_q", width, width));
    HONE_CHECK_OK(matrix("attn_k", kv_width, width));
    HONE_CHECK_OK(matrix("attn_v", kv_width, width));
    HONE_CHECK_OK(matrix("attn_output", width, width));
    HONE_CHECK_OK(norm(block + "ffn_norm.weight"));
    HONE_CHECK_OK(matrix("ffn_gate", shape.feed_forward, width));
    HONE_CHECK_OK(matrix("ffn_up", shape.feed_forward, width));
    HONE_CHECK_OK(matrix("ffn_down", width, shape.feed_forward));
  }
  HONE_CHECK_OK(norm("output_norm.weight"));
  return header.AddTensor("output.weight", type, {shape.vocabulary, width});
}

// Any two of (seed, tensor, row) that differ give unrelated streams.
uint64_t RowSeed(uint64_t seed, uint64_t tensor, uint64_t row) {
  uint64_t mixed = seed;
  for (const uint64_t part : {tensor, row}) {
    mixed = (mixed ^ (part + 0x9e3779b97f4a7c15)) * 0xbf58476d1ce4e5b9;
    mixed ^= mixed >> 29;
  }
  return mixed;
}

std::vector<float> RandomNorm(uint64_t seed, int64_t columns) {
  constexpr float kDeviation = 0.1f;
  std::vector<float> norm(columns);
  RandomRows::Make(DType::kF32, kDeviation)->Draw(seed, columns, reinterpret_cast<std::byte*>(norm.data()));
  for (float& weight : norm) weight += 1.0f;
  return norm;
}

Result<void> WriteTensors(const GgufHeader& header, uint64_t seed, GgufWriter& writer,
                          const std::function<void(uint64_t, uint64_t)>& progress) {
  uint64_t total = 0;
  for (const auto& tensor : header.tensors()) total += tensor.size;
  uint64_t done = 0;
  std::vector<std::byte> row;
  for (size_t i = 0; i < header.tensors().size(); ++i) {
    const GgufHeader::Tensor& tensor = header.tensors()[i];
    const int64_t columns = tensor.shape.back();
    if (tensor.shape.size() == 1) {
      const std::vector<float> norm = RandomNorm(RowSeed(seed, i, 0), columns);
      HONE_CHECK_OK(writer.Write(std::as_bytes(std::span(norm))));
    } else {
      const auto rows = RandomRows::Make(tensor.type, 1.0f / std::sqrt(static_cast<float>(columns)));
      row.resize(RowBytes(tensor.type, columns));
      for (int64_t j = 0; j < tensor.shape[0]; ++j) {
        rows->Draw(RowSeed(seed, i, static_cast<uint64_t>(j)), columns, row.data());
        HONE_CHECK_OK(writer.Write(row));
      }
    }
    done += tensor.size;
    if (progress) progress(done, total);
  }
  return {};
}

}  // namespace

std::span<const RandomModelShape> RandomModelShapes() { return kShapes; }

std::span<const DType> RandomModelTypes() { return kTypes; }

Result<void> WriteRandomModel(std::string_view like, DType type, uint64_t seed, const std::string& path,
                              const std::function<void(uint64_t done, uint64_t total)>& progress) {
  const auto* shape = std::ranges::find(kShapes, like, &RandomModelShape::name);
  if (shape == kShapes.end()) {
    return WrongUsage("random-model: --like: found \"{}\", expected llama-1.1b, llama-160m or llama-tiny",
                      like);
  }
  if (std::ranges::find(kTypes, type) == kTypes.end()) {
    return WrongUsage("random-model: --type: found {}, expected a type of weights such as Q4_0",
                      Info(type).name);
  }
  GgufHeader header;
  SetModelKeys(*shape, type, seed, header);
  SetRandomVocabulary(shape->vocabulary, header);
  HONE_CHECK_OK(AddTensors(*shape, type, header));
  HONE_TRY(GgufWriter writer, GgufWriter::Create(path, header));
  HONE_CHECK_OK(WriteTensors(header, seed, writer, progress));
  return writer.Finish();
}

}  // namespace hone
