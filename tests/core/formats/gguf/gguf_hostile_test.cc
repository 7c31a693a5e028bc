// Files that want to break the reader: each is refused in one line that names the file and the field.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/formats/gguf/gguf_bytes.h"
#include "core/formats/gguf/gguf_file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HONE_COUNT_ALLOCATIONS 0
#else
#define HONE_COUNT_ALLOCATIONS 1
#endif

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> most_live_bytes{0};

}  // namespace

#if HONE_COUNT_ALLOCATIONS
void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  const int64_t live = live_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  if (live > most_live_bytes) most_live_bytes = live;
  return memory;
}
void operator delete(void* memory) noexcept {
  live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
#endif

namespace hone {
namespace {

constexpr uint64_t kMost = ~uint64_t{0};
constexpr uint64_t kHalf = uint64_t{1} << 63;

class GgufHostile : public testing::Test {
 protected:
  // The message behind "FILE: ", or "accepted"; and what every refusal keeps to.
  std::string Refusal(std::string_view bytes, std::string_view name = "hostile.gguf") {
    const std::string path = folder_.Write(name, bytes);
    const int64_t before = live_bytes;
    most_live_bytes = before;
    const auto opened = GgufFile::Open(path);
    constexpr int64_t kMargin = 64 << 20;
    EXPECT_LE(most_live_bytes - before, static_cast<int64_t>(bytes.size()) + kMargin);
    if (opened) return "accepted";
    EXPECT_EQ(opened.error().kind, ErrorKind::kBadInput);
    EXPECT_TRUE(opened.error().message.starts_with(path + ": ")) << opened.error().message;
    EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
    return opened.error().message.substr(path.size() + 2);
  }
  std::string Refusal(const GgufBytes& file) { return Refusal(file.bytes()); }
  ScratchFolder folder_;
};

TEST_F(GgufHostile, SaysWhatAForeignFileSeemsToBe) {
  EXPECT_EQ(Refusal(""), "file: empty, expected a GGUF file");
  EXPECT_EQ(Refusal("<!DOCTYPE html><html>"),
            "magic: found \"<!DO\" (a web page or XML: the download failed), expected \"GGUF\"");
  EXPECT_EQ(Refusal("\n  <html>"),
            "magic: found \"\\x0a  <\" (a web page or XML: the download failed), expected \"GGUF\"");
  EXPECT_EQ(Refusal("PK\x03\x04rest"), "magic: found \"PK\\x03\\x04\" (a zip archive), expected \"GGUF\"");
  EXPECT_EQ(
      Refusal("version https://git-lfs.github.com/spec/v1"),
      "magic: found \"vers\" (a Git LFS pointer: the model itself was not downloaded), expected \"GGUF\"");
  EXPECT_EQ(Refusal("{\"error\": 1}"), "magic: found \"{\"er\" (JSON text), expected \"GGUF\"");
  EXPECT_EQ(Refusal("tjgg\1\0\0\0"),
            "magic: found \"tjgg\" (a GGJT file from before GGUF), expected \"GGUF\"");
  EXPECT_EQ(Refusal("GG"), "magic: found \"GG\", expected \"GGUF\"");
  EXPECT_EQ(Refusal(std::string_view("\x02\0\0\0\0\0\0\0{}", 10)),
            "magic: found \"\\x02\\x00\\x00\\x00\" (a safetensors file: open its folder), expected \"GGUF\"");
  EXPECT_FALSE(GgufFile::Open(folder_.Path("absent.gguf")));
  EXPECT_FALSE(GgufFile::Open(folder_.path()));
}

TEST_F(GgufHostile, RefusesOtherVersionsAndByteOrders) {
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 0, 1)), "version: found 1, expected 2 or 3");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 0, 4)), "version: found 4, expected 2 or 3");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 0, 0)), "version: found 0, expected 2 or 3");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 0, 0x03000000)),
            "version: the file is big-endian, expected a little-endian one");
  EXPECT_EQ(
      Refusal("FUGG\0\0\0\3"),
      "magic: found \"FUGG\" (a big-endian GGUF file: hone reads little-endian ones), expected \"GGUF\"");
}

TEST_F(GgufHostile, RefusesCountsThatTheFileCannotHold) {
  for (const uint64_t count :
       {uint64_t{1}, uint64_t{65536}, uint64_t{65537}, uint64_t{1} << 40, kHalf, kMost}) {
    EXPECT_NE(Refusal(GgufBytes().Header(0, count)).find("metadata_kv_count"), std::string::npos) << count;
    EXPECT_NE(Refusal(GgufBytes().Header(count, 0)).find("tensor_count"), std::string::npos) << count;
  }
  EXPECT_EQ(Refusal(GgufBytes().Header(272, 33).Data(100)),
            "metadata_kv_count: 33 keys are announced, but the file's 124 bytes have room for 7 at most: cut "
            "short");
  EXPECT_EQ(Refusal(GgufBytes().Header(kMost, 0)),
            "tensor_count: found 18446744073709551615 tensors, expected at most 262144");
}

TEST_F(GgufHostile, RefusesKeysThatAreEmptyLongTwiceOrCutOff) {
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 1).Key("", GgufType::kU32, 7)),
            "metadata key 1 of 1: an empty name, expected 1 to 65535 bytes");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 1).Key(std::string(65536, 'k'), GgufType::kU32, 7)),
            "metadata key 1 of 1: a name of 65536 bytes, expected at most 65535");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 2).Key("a", GgufType::kU32, 7).Key("a", GgufType::kU32, 8)),
            "a: found twice in the metadata, expected once");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 1).U64(kMost).Raw("abcdefgh")),
            "metadata key 1 of 1: the file ends inside it: 40 bytes are there; 1 keys and 0 tensors are "
            "announced, 0 and 0 "
            "were read: cut short");
  EXPECT_NE(Refusal(GgufBytes().Header(0, 1).U64(kHalf).Raw("abcdefgh")), "accepted");
  EXPECT_EQ(Refusal(GgufBytes()
                        .Header(0, 2)
                        .Key("line\nbreak", GgufType::kU32, 7)
                        .Key("line\nbreak", GgufType::kU32, 8)),
            "line\\x0abreak: found twice in the metadata, expected once");
  const std::string cut = Refusal(GgufBytes().Header(0, 1).TextKey("key", "value").bytes().substr(0, 45));
  EXPECT_NE(cut.find("key: the file ends inside it"), std::string::npos) << cut;
}

TEST_F(GgufHostile, RefusesValuesOfUnknownTypesAndLengths) {
  const auto key = [] { return GgufBytes().Header(0, 1).String("k"); };
  EXPECT_EQ(Refusal(key().U32(13).U64(0)), "k: value type 13, expected 0 to 12");
  EXPECT_EQ(Refusal(key().U32(kMost).U64(0)), "k: value type 4294967295, expected 0 to 12");
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 1).Key<uint8_t>("k", GgufType::kBool, 2)),
            "k: a bool of value 2, expected 0 or 1");
  EXPECT_NE(Refusal(key().U32(8).U64(kMost).Data(8)).find("k: the file ends"), std::string::npos);
  EXPECT_NE(Refusal(key().U32(8).U64(9).Data(8)).find("k: the file ends"), std::string::npos);
  EXPECT_NE(Refusal(key().U32(10).U32(0)).find("k: the file ends"), std::string::npos);
}

TEST_F(GgufHostile, RefusesArraysThatNestOverflowOrPassTheEnd) {
  const auto array = [](GgufType type, uint64_t count) {
    return GgufBytes().Header(0, 1).ArrayKey("k", type, count);
  };
  EXPECT_EQ(Refusal(array(GgufType::kArray, 1).U32(4).U64(0)),
            "k: an array of arrays, expected an array of scalars or strings");
  EXPECT_EQ(Refusal(array(static_cast<GgufType>(99), 1).U64(0)), "k: value type 99, expected 0 to 12");
  for (const GgufType type : {GgufType::kU8, GgufType::kU64, GgufType::kString, GgufType::kBool}) {
    for (const uint64_t count : {uint64_t{100}, uint64_t{1} << 32, uint64_t{1} << 61, kHalf, kMost}) {
      EXPECT_NE(Refusal(array(type, count).U64(0)).find("the file ends inside it"), std::string::npos)
          << count;
    }
  }
  EXPECT_NE(Refusal(array(GgufType::kString, 2).String("a").U64(kMost)).find("k[1]: the file ends"),
            std::string::npos);
  EXPECT_EQ(Refusal(array(GgufType::kBool, 3).Raw(std::string_view("\0\1\7", 3))),
            "k: a bool of value 7, expected 0 or 1");
}

TEST_F(GgufHostile, RefusesAlignmentsThatAreNone) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 0x80000000u, 0xffffffffu}) {
    EXPECT_NE(Refusal(GgufBytes().Header(0, 1).Key("general.alignment", GgufType::kU32, alignment))
                  .find("general.alignment: found"),
              std::string::npos)
        << alignment;
  }
  EXPECT_EQ(Refusal(GgufBytes().Header(0, 1).TextKey("general.alignment", "32")),
            "general.alignment: a value of type string, expected an integer");
  EXPECT_EQ(
      Refusal(
          GgufBytes().Header(1, 1).Key("general.alignment", GgufType::kU32, 1 << 30).Tensor("t", {1}, 0, 0)),
      "t: the file announces 1073741828 bytes and 1 tensors, 90 bytes and 0 whole tensors are there: cut "
      "short");
}

class GgufHostileTensor : public GgufHostile {
 protected:
  std::string One(const std::vector<uint64_t>& dimensions, uint32_t type, uint64_t offset,
                  uint64_t data = 256) {
    return Refusal(GgufBytes().Header(1, 0).Tensor("t", dimensions, type, offset).PadTo(32).Data(data));
  }
};

TEST_F(GgufHostileTensor, RefusesNamesThatAreEmptyOrTwice) {
  EXPECT_EQ(Refusal(GgufBytes().Header(1, 0).Tensor("", {1}, 0, 0).PadTo(32).Data(32)),
            "tensor 1 of 1: an empty name, expected at least one byte");
  EXPECT_EQ(
      Refusal(GgufBytes().Header(2, 0).Tensor("t", {1}, 0, 0).Tensor("t", {1}, 0, 32).PadTo(32).Data(64)),
      "t: a second tensor of this name, expected one");
  EXPECT_NE(Refusal(GgufBytes().Header(1, 0).U64(kMost).Data(64)).find("tensor 1 of 1: the file ends"),
            std::string::npos);
}

TEST_F(GgufHostileTensor, RefusesShapesThatOverflow) {
  EXPECT_EQ(One({1, 1, 1, 1, 1}, 0, 0), "t: 5 dimensions, expected at most 4");
  EXPECT_NE(Refusal(GgufBytes().Header(1, 0).String("t").U32(kMost).Data(64)).find("4294967295 dimensions"),
            std::string::npos);
  EXPECT_EQ(One({0}, 0, 0), "t: dimension 0 is 0, expected 1 to 9223372036854775807");
  EXPECT_EQ(One({4, kMost}, 0, 0),
            "t: dimension 1 is 18446744073709551615, expected 1 to 9223372036854775807");
  EXPECT_EQ(One({uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0),
            "t: the product of its dimensions overflows, expected at most 9223372036854775807 values");
  EXPECT_EQ(One({3, kHalf - 1, 2}, 0, 0),
            "t: the product of its dimensions overflows, expected at most 9223372036854775807 values");
  EXPECT_EQ(One({uint64_t{1} << 62}, 0, 0),
            "t: its 4611686018427387904 values of F32 overflow 64 bits of size");
  EXPECT_EQ(One({uint64_t{1} << 61}, 28, 0),
            "t: its 2305843009213693952 values of F64 overflow 64 bits of size");
  EXPECT_NE(One({uint64_t{1} << 60}, 0, 0).find("cut short"), std::string::npos);
}

TEST_F(GgufHostileTensor, RefusesTypesItDoesNotKnowByName) {
  EXPECT_TRUE(One({256}, 16, 0).starts_with("t: tensor type 16 (IQ2_XXS), expected F32"))
      << One({256}, 16, 0);
  EXPECT_TRUE(One({256}, 4, 0).starts_with("t: tensor type 4 (Q4_2)"));
  EXPECT_TRUE(One({256}, 999, 0).starts_with("t: tensor type 999 (unknown)"));
  EXPECT_TRUE(One({256}, static_cast<uint32_t>(kMost), 0).starts_with("t: tensor type 4294967295 (unknown)"));
}

TEST_F(GgufHostileTensor, RefusesRowsThatDoNotFillBlocks) {
  EXPECT_EQ(One({33}, 2, 0), "t: rows of 33 values, expected a multiple of Q4_0's 32");
  EXPECT_EQ(One({320, 4}, 12, 0), "t: rows of 320 values, expected a multiple of Q4_K's 256");
  EXPECT_EQ(One({16, 2}, 2, 0), "t: rows of 16 values, expected a multiple of Q4_0's 32");
  // Rows of a scalar count as one value.
  EXPECT_EQ(One({}, 2, 0), "t: rows of 1 values, expected a multiple of Q4_0's 32");
  EXPECT_EQ(One({}, 0, 0), "accepted");
}

TEST_F(GgufHostileTensor, RefusesOffsetsThatAreUnalignedOverlapOrPassTheEnd) {
  EXPECT_EQ(One({1}, 0, 4), "t: offset 4, expected a multiple of the alignment 32");
  EXPECT_EQ(One({1}, 0, kMost - 31), "t: offset and size overflow 64 bits");
  EXPECT_EQ(One({uint64_t{1} << 60}, 0, kMost - 31), "t: offset and size overflow 64 bits");
  EXPECT_EQ(
      One({64}, 0, 32),
      "t: the file announces 352 bytes and 1 tensors, 320 bytes and 0 whole tensors are there: cut short");
  const GgufBytes overlap =
      GgufBytes().Header(2, 0).Tensor("a", {32}, 0, 0).Tensor("b", {1}, 0, 96).PadTo(32).Data(256);
  EXPECT_EQ(Refusal(overlap), "b: its bytes overlap those of a, expected its own");
}

// Every prefix of a good file is refused, and says that it is cut short.
TEST_F(GgufHostileTensor, RefusesEveryFileCutShort) {
  const std::string whole = GgufBytes()
                                .Header(2, 2)
                                .TextKey("general.architecture", "llama")
                                .ArrayKey("list", GgufType::kString, 2)
                                .String("a")
                                .String("b")
                                .Tensor("first", {32}, 0, 0)
                                .Tensor("last", {32, 2}, 2, 128)
                                .PadTo(32)
                                .Data(128 + 36)
                                .bytes();
  ASSERT_EQ(Refusal(whole), "accepted");
  for (size_t size = 4; size < whole.size(); ++size) {
    ASSERT_NE(Refusal(std::string_view(whole).substr(0, size)).find("cut short"), std::string::npos) << size;
  }
  EXPECT_EQ(Refusal(std::string_view(whole).substr(0, whole.size() - 1)),
            fmt::format("last: the file announces {} bytes and 2 tensors, {} bytes and 1 whole tensors are "
                        "there: cut short",
                        whole.size(), whole.size() - 1));
}

TEST_F(GgufHostileTensor, AcceptsScalesThatAreNotNumbers) {
  const std::string nan_scale = "\xff\xff" + std::string(16, '\x7f');
  EXPECT_EQ(Refusal(GgufBytes().Header(1, 0).Tensor("t", {32}, 2, 0).PadTo(32).Raw(nan_scale)), "accepted");
}

// The counts are legal; what they stand for must stay within the file's size and a margin.
TEST_F(GgufHostileTensor, BoundsWhatManySmallEntriesAllocate) {
  GgufBytes tensors;
  tensors.Header(kMost, 0);
  GgufBytes many;
  many.Header(262144, 0);
  for (int i = 0; i < 262144; ++i) many.Tensor(std::to_string(i), {1}, 0, 32ull * i);
  EXPECT_NE(Refusal(many.PadTo(32)).find("cut short"), std::string::npos);
  GgufBytes keys;
  keys.Header(0, 65536);
  for (int i = 0; i < 65536; ++i) keys.Key<uint8_t>(std::to_string(i), GgufType::kU8, 1);
  EXPECT_EQ(Refusal(keys), "accepted");
}

TEST_F(GgufHostile, BoundsTheListsThatArraysBecome) {
  const GgufBytes file =
      GgufBytes().Header(0, 1).ArrayKey("heads", GgufType::kU8, 40 << 20).Raw(std::string(40 << 20, '\1'));
  const auto opened = GgufFile::Open(folder_.Write("large.gguf", file.bytes()));
  ASSERT_TRUE(opened);
  const auto heads = opened->Integers("heads");
  ASSERT_FALSE(heads);
  EXPECT_NE(heads.error().message.find("heads: an array of 41943040 u8, expected at most"),
            std::string::npos);

  GgufBytes empty_strings;
  empty_strings.Header(0, 1).ArrayKey("words", GgufType::kString, 4 << 20).Raw(std::string(32 << 20, '\0'));
  const auto words = GgufFile::Open(folder_.Write("words.gguf", empty_strings.bytes()));
  ASSERT_TRUE(words);
  EXPECT_EQ(words->Strings("words").value()->size(), 4u << 20);
  EXPECT_FALSE(words->Texts("words"));
}

}  // namespace
}  // namespace hone
