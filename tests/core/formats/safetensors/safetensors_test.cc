#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "fuzz_replay.h"
#include "scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

std::string WithLength(std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes.append(header).append(data);
}

std::string Entry(std::string_view type, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", type, shape, offsets);
}

std::string Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

const std::string kTwoTensors = R"({"__metadata__":{"format":"pt"},"b":)" + Entry("BF16", "[3]", "[16,22]") +
                                R"(,"a":)" + Entry("F32", "[2,2]", "[0,16]") + "}  ";

class Safetensors : public testing::Test {
 protected:
  // The message of the refusal behind "FILE: ", or "accepted".
  std::string Refusal(std::string_view bytes) {
    const std::string path = folder_.Write("model.safetensors", bytes);
    const auto opened = SafetensorsFolder::Open(path);
    if (opened) return "accepted";
    EXPECT_EQ(opened.error().kind, ErrorKind::kBadInput);
    EXPECT_TRUE(opened.error().message.starts_with(path + ": ")) << opened.error().message;
    EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
    return opened.error().message.substr(path.size() + 2);
  }
  ScratchFolder folder_;
};

TEST_F(Safetensors, ReadsTensorsOfAFileAndOfItsFolder) {
  const std::string path = folder_.Write("model.safetensors", WithLength(kTwoTensors, Bytes(22)));
  for (const std::string& opened : {path, folder_.path()}) {
    const auto folder = SafetensorsFolder::Open(opened);
    ASSERT_TRUE(folder) << folder.error().message;
    ASSERT_EQ(folder->tensors().size(), 2u);
    EXPECT_EQ(folder->tensors()[0].name, "a");
    const FileTensor* b = folder->FindTensor("b");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->type, DType::kBF16);
    EXPECT_EQ(b->shape, std::vector<int64_t>{3});
    EXPECT_EQ(b->bytes()[5], std::byte{21});
    EXPECT_EQ(folder->FindTensor("a")->shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(folder->FindTensor("c"), nullptr);
  }
}

TEST_F(Safetensors, ReadsAScalar) {
  EXPECT_EQ(Refusal(WithLength(R"({"s":)" + Entry("F16", "[]", "[0,2]") + "}", Bytes(2))), "accepted");
  EXPECT_EQ(Refusal(WithLength("{}", "")), "accepted");
}

TEST_F(Safetensors, RefusesHeadersThatAreWrong) {
  const auto one = [&](const std::string& entry, size_t data) {
    return Refusal(WithLength(R"({"t":)" + entry + "}", Bytes(data)));
  };
  EXPECT_EQ(Refusal(""), "file: 0 bytes, expected a safetensors file of at least 10");
  EXPECT_EQ(Refusal(Bytes(7)), "file: 7 bytes, expected a safetensors file of at least 10");
  EXPECT_EQ(Refusal(std::string(8, '\xff')),
            "header length: found 18446744073709551615 in a file of 8 bytes, expected at most 0");
  EXPECT_EQ(Refusal(WithLength("[]", "")), "header: begins with \"[]\", expected an object {...}");
  EXPECT_EQ(Refusal(WithLength("{\"a\":", "")), "header: malformed JSON at byte 6 of it");
  EXPECT_EQ(Refusal(WithLength("{\"a\":1}", "")), "a: found 1, expected an object");
  EXPECT_EQ(Refusal(WithLength("{\"a\":" + std::string(100000, '['), "")),
            "a: found a list, expected an object");
  EXPECT_EQ(Refusal(WithLength("{\"\xff\":{}}", "")), "header: malformed JSON at byte 3 of it");
  EXPECT_EQ(one(Entry("F8_E4M3", "[4]", "[0,4]"), 4),
            "t: dtype F8_E4M3, expected F32, F16, BF16, F64, I8, I16, I32 or I64");
  EXPECT_EQ(one(Entry("F32", "[4]", "[0,15]"), 16),
            "t: data_offsets 0 to 15, but its shape and F32 take 16 bytes");
  EXPECT_EQ(one(Entry("F32", "[1]", "[4,0]"), 4),
            "t: data_offsets 4 to 0, but its shape and F32 take 4 bytes");
  EXPECT_EQ(one(Entry("F32", "[4294967296,4294967296]", "[0,0]"), 4),
            "t: its shape multiplies to more than 2^63 bytes");
  EXPECT_EQ(one(Entry("F32", "[0]", "[0,0]"), 0), "t: a dimension of 0, expected at least 1");
  EXPECT_EQ(one(Entry("F32", "[-1]", "[0,4]"), 4),
            "t: shape: found -1, expected a list of integers from 0 on");
  EXPECT_EQ(one(Entry("F32", "[1.5]", "[0,4]"), 4),
            "t: shape: found 1.5, expected a list of integers from 0 on");
  EXPECT_EQ(one(Entry("F32", "[[1]]", "[0,4]"), 4),
            "t: shape: found a list, expected a list of integers from 0 on");
  EXPECT_EQ(one(Entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "t: shape: more than 8 numbers");
  EXPECT_EQ(one(Entry("F32", "[1]", "[0]"), 4), "t: data_offsets has 1 numbers, expected 2");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1]})", 4),
            "t: expected dtype, shape and data_offsets, one of them is absent");
  EXPECT_EQ(one(R"({"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,2]})", 2),
            "t: dtype found twice, expected once");
  EXPECT_EQ(one(Entry("F32", "[2]", "[18446744073709551608,18446744073709551616]"), 8),
            "t: data_offsets: found 18446744073709551616, expected a list of integers from 0 on");
  EXPECT_EQ(one(Entry("F32", "[2]", "[18446744073709551600,18446744073709551608]"), 8),
            "t: data_offsets end at 18446744073709551608, expected less");
  EXPECT_EQ(Refusal(WithLength(
                R"({"a":)" + Entry("I8", "[1]", "[0,1]") + R"(,"a":)" + Entry("I8", "[1]", "[1,2]") + "}",
                Bytes(2))),
            "a: a second tensor of this name, expected one");
}

TEST_F(Safetensors, RefusesTensorsThatOverlapLeaveHolesOrPassTheEnd) {
  const auto two = [&](std::string_view first, std::string_view second, size_t data) {
    return Refusal(WithLength(
        R"({"a":)" + Entry("I8", "[4]", first) + R"(,"b":)" + Entry("I8", "[4]", second) + "}", Bytes(data)));
  };
  EXPECT_EQ(two("[0,4]", "[4,8]", 8), "accepted");
  EXPECT_EQ(two("[0,4]", "[2,6]", 6), "b: begins at byte 2, expected 4, where the tensor before it ends");
  EXPECT_EQ(two("[0,4]", "[0,4]", 4), "b: begins at byte 0, expected 4, where the tensor before it ends");
  EXPECT_EQ(two("[0,4]", "[6,10]", 10), "b: begins at byte 6, expected 4, where the tensor before it ends");
  EXPECT_EQ(two("[0,4]", "[4,8]", 9), "file: 1 bytes behind the last tensor, expected none");
  const std::string cut = two("[0,4]", "[4,8]", 7);
  EXPECT_NE(cut.find("2 tensors"), std::string::npos) << cut;
  EXPECT_NE(cut.find("cut short"), std::string::npos) << cut;
}

class ShardedSafetensors : public Safetensors {
 protected:
  void WriteShards() {
    folder_.Write("one.safetensors", WithLength(R"({"a":)" + Entry("I8", "[4]", "[0,4]") + "}", Bytes(4)));
    folder_.Write("two.safetensors", WithLength(R"({"b":)" + Entry("I8", "[2]", "[0,2]") + R"(,"c":)" +
                                                    Entry("I8", "[1]", "[2,3]") + "}",
                                                Bytes(3)));
  }
  std::string IndexRefusal(std::string_view index) {
    folder_.Write("model.safetensors.index.json", index);
    const auto folder = SafetensorsFolder::Open(folder_.path());
    return folder ? "accepted" : folder.error().message.substr(folder_.path().size());
  }
};

TEST_F(ShardedSafetensors, JoinsTheShardsOfTheIndex) {
  WriteShards();
  EXPECT_EQ(IndexRefusal(R"({"weight_map":{"b":"two.safetensors","a":"one.safetensors"}})"), "accepted");
  const auto folder = SafetensorsFolder::Open(folder_.path());
  ASSERT_EQ(folder->tensors().size(), 2u);  // c is not listed
  EXPECT_EQ(folder->FindTensor("b")->bytes().size(), 2u);
  EXPECT_EQ(folder->FindTensor("c"), nullptr);
}

TEST_F(ShardedSafetensors, NamesWhatIsMissing) {
  EXPECT_EQ(IndexRefusal(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})"),
            "/one.safetensors: file: absent, expected one of the 2 shards of " + folder_.path() +
                "/model.safetensors.index.json");
  WriteShards();
  EXPECT_EQ(
      IndexRefusal(R"({"weight_map":{"z":"one.safetensors"}})"),
      "/one.safetensors: z: absent, expected it here by " + folder_.path() + "/model.safetensors.index.json");
  EXPECT_EQ(IndexRefusal(R"({"weight_map":{"a":"../one.safetensors"}})"),
            "/model.safetensors.index.json: a: file \"../one.safetensors\", expected one in the folder");
  EXPECT_EQ(IndexRefusal(R"({"weight_map":{"a":7}})"),
            "/model.safetensors.index.json: a: not a string, expected a file's name");
  EXPECT_EQ(
      IndexRefusal("{}"),
      "/model.safetensors.index.json: weight_map: absent, expected an object of tensor names and files");
}

TEST_F(Safetensors, RefusesAFolderWithoutWeights) {
  const auto folder = SafetensorsFolder::Open(folder_.path());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().message,
            folder_.path() +
                ": model.safetensors: absent, expected it or model.safetensors.index.json in the folder");
}

TEST_F(Safetensors, ReadsConfigsAndSaysWhereTheyAreWrong) {
  const auto refusal = [&](std::string_view text) {
    const std::string path = folder_.Write("config.json", text);
    const auto json = ReadJsonObject(path);
    return json ? "accepted" : json.error().message.substr(path.size() + 2);
  };
  const auto config =
      ReadJsonObject(folder_.Write("config.json", R"({"z": 1, "a": [null, 2.5], "m": {"x": "y"}})"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->begin().key(), "z");  // the file's order
  EXPECT_EQ((*config)["m"]["x"], "y");
  EXPECT_EQ(refusal("{\n  \"a\": 1,\n  \"b\" 2\n}"),
            "line 3: malformed JSON at column 7, expected an object");
  EXPECT_EQ(refusal(""), "line 1: malformed JSON at column 1, expected an object");
  EXPECT_EQ(refusal("[1]"), "top level: not an object, expected {...}");
  EXPECT_EQ(refusal("7"), "top level: not an object, expected {...}");
  EXPECT_EQ(refusal(R"({"a": 1, "a": 2})"), "a: found twice in one object, expected once");
  EXPECT_EQ(refusal("{\"a\":" + std::string(100000, '[')), "nesting: deeper than 64 levels");
  EXPECT_EQ(refusal("{} x"), "line 1: malformed JSON at column 4, expected an object");
  EXPECT_FALSE(ReadJsonObject(folder_.Path("absent.json")));
}

TEST(SafetensorsFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts =
      ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/safetensors", 20000,
                 {"\"dtype\":\"F16\"", "\"shape\":[1]", "\"data_offsets\":[0,2]", "__metadata__",
                  "18446744073709551615", "[[", "{}"});
  EXPECT_GE(counts.files, 8);
  EXPECT_EQ(counts.mutations, 20000);
}

}  // namespace
}  // namespace hone
