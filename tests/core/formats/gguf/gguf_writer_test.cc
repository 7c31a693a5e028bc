#include "core/formats/gguf/gguf_writer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/formats/gguf/gguf_bytes.h"
#include "core/formats/gguf/gguf_file.h"

namespace hone {
namespace {

std::vector<std::byte> Bytes(size_t count, int first) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

TEST(GgufWriter, WritesWhatGgufFileReads) {
  const ScratchFolder folder;
  GgufHeader header;
  const std::vector<std::string> words = {"one", "", "three"};
  const std::vector<float> scores = {0.5f, -1};
  header.SetText("general.architecture", "none");
  header.Set("count", uint16_t{7});
  header.Set("small", int64_t{-7});
  header.Set("truth", true);
  header.Set("real", 0.25);
  header.SetTexts("words", words);
  header.SetArray("scores", std::span<const float>(scores));
  header.Set("count", uint32_t{8});  // replaces, in place
  ASSERT_TRUE(header.AddTensor("a", DType::kQ8_0, {3, 64}));
  ASSERT_TRUE(header.AddTensor("b", DType::kF32, {5}));
  const std::string path = folder.Path("written.gguf");
  auto writer = GgufWriter::Create(path, header);
  ASSERT_TRUE(writer) << writer.error().message;
  const std::vector<std::byte> data = Bytes(3 * 68 + 20, 1);
  // Pieces that cross the border between the tensors.
  ASSERT_TRUE(writer->Write(std::span(data).first(100)));
  ASSERT_TRUE(writer->Write(std::span(data).subspan(100)));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(writer->Finish());

  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->metadata()[1].first, "count");
  EXPECT_EQ(file->Integer("count").value(), 8);
  EXPECT_EQ(file->Find("count")->type, GgufType::kU32);
  EXPECT_EQ(file->Integer("small").value(), -7);
  EXPECT_EQ(file->Boolean("truth").value(), true);
  EXPECT_EQ(file->Real("real").value(), 0.25);
  EXPECT_EQ(file->Texts("words").value()->at(2), "three");
  EXPECT_EQ(*file->Reals("scores").value(), scores);
  EXPECT_EQ(file->FindTensor("a")->shape, (std::vector<int64_t>{3, 64}));
  EXPECT_TRUE(std::ranges::equal(file->FindTensor("a")->bytes(), std::span(data).first(204)));
  EXPECT_TRUE(std::ranges::equal(file->FindTensor("b")->bytes(), std::span(data).subspan(204)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.Path("")), {}), 1);
}

TEST(GgufWriter, CopiesValuesOfAnotherFileUnchanged) {
  const ScratchFolder folder;
  GgufHeader header;
  const std::vector<std::string> words = {"a", "bc"};
  const std::vector<uint8_t> bytes = {1, 2, 3};
  header.SetTexts("words", words);
  header.SetArray("bytes", std::span<const uint8_t>(bytes));
  header.SetText("text", "t");
  header.Set("number", int8_t{-1});
  ASSERT_TRUE(GgufWriter::Create(folder.Path("first.gguf"), header)->Finish());
  const auto first = GgufFile::Open(folder.Path("first.gguf"));
  ASSERT_TRUE(first) << first.error().message;
  GgufHeader copy;
  for (const auto& [key, value] : first->metadata()) copy.Copy(key, value);
  EXPECT_EQ(copy.Encode(), header.Encode());
}

TEST(GgufWriter, RefusesTensorsThatDoNotFitByName) {
  GgufHeader header;
  ASSERT_TRUE(header.AddTensor("good", DType::kF32, {2, 3}));
  const auto message = [&](std::string_view name, DType type, std::vector<int64_t> shape) {
    const auto added = header.AddTensor(name, type, std::move(shape));
    return added ? "accepted" : added.error().message;
  };
  EXPECT_EQ(message("odd", DType::kQ4_K, {4, 320}),
            "odd: rows of 320 values do not fit Q4_K, expected a multiple of 256");
  EXPECT_EQ(message("good", DType::kF32, {1}), "good: a second tensor of this name, expected one");
  EXPECT_EQ(message("deep", DType::kF32, {1, 1, 1, 1, 1}), "deep: 5 dimensions, expected at most 4");
  EXPECT_EQ(message("flat", DType::kF32, {0}), "flat: a dimension of 0, expected at least 1");
  EXPECT_NE(message("vast", DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}), "accepted");
  EXPECT_NE(message("wide", DType::kF64, {int64_t{1} << 61}), "accepted");
  EXPECT_NE(message("", DType::kF32, {1}), "accepted");
  EXPECT_EQ(header.tensors().size(), 1u);
}

TEST(GgufWriter, LeavesNothingUnderTheNameUntilAllIsThere) {
  const ScratchFolder folder;
  GgufHeader header;
  ASSERT_TRUE(header.AddTensor("first", DType::kF32, {4}));
  ASSERT_TRUE(header.AddTensor("second", DType::kF32, {4}));
  {
    auto writer = GgufWriter::Create(folder.Path("file.gguf"), header);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->Write(Bytes(20, 0)));
    const auto finished = writer->Finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().message, folder.Path("file.gguf") + ": second: 4 of 16 bytes were written");
    EXPECT_FALSE(writer->Write(Bytes(100, 0)));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.Path("")));
  EXPECT_FALSE(GgufWriter::Create(folder.Path("no/such/folder.gguf"), header));
}

}  // namespace
}  // namespace hone
