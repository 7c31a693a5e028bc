#include <gtest/gtest.h>

#include <cstdio>

#include "core/formats/gguf/gguf_bytes.h"
#include "core/formats/gguf/gguf_file.h"

namespace hone {
namespace {

// Part `number` (from 0) of three: the first holds the metadata, the others one tensor each.
GgufBytes Part(int number, int count = 3, int tensors = 2) {
  GgufBytes file;
  file.Header(number == 0 ? 0 : 1, number == 0 ? 4 : 3);
  if (number == 0) file.TextKey("general.architecture", "llama");
  file.Key("split.no", GgufType::kU16, static_cast<uint16_t>(number))
      .Key("split.count", GgufType::kU16, static_cast<uint16_t>(count))
      .Key("split.tensors.count", GgufType::kI32, static_cast<int32_t>(tensors));
  if (number == 0) return file.PadTo(32);
  return file.Tensor("tensor" + std::to_string(number), {8}, 0, 0).PadTo(32).Data(32);
}

class GgufSplit : public testing::Test {
 protected:
  std::string Name(int number) { return "model-0000" + std::to_string(number + 1) + "-of-00003.gguf"; }
  void WriteSet() {
    for (int number = 0; number < 3; ++number) folder_.Write(Name(number), Part(number).bytes());
  }
  std::string Refusal(const std::string& name) {
    const auto opened = GgufFile::Open(folder_.Path(name));
    if (opened) return "accepted";
    const std::string prefix = folder_.path() + "/";
    EXPECT_TRUE(opened.error().message.starts_with(prefix));
    return opened.error().message.substr(prefix.size());
  }
  ScratchFolder folder_;
};

TEST_F(GgufSplit, OpensFromAnyPart) {
  WriteSet();
  for (int number = 0; number < 3; ++number) {
    const auto file = GgufFile::Open(folder_.Path(Name(number)));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->Text("general.architecture").value(), "llama");
    ASSERT_EQ(file->tensors().size(), 2u);
    EXPECT_EQ(file->tensors()[0].name, "tensor1");
    EXPECT_EQ(file->shards().size(), 3u);
    EXPECT_EQ(file->FindTensor("tensor2")->file->path(), folder_.Path(Name(2)));
    EXPECT_EQ(file->FindTensor("tensor2")->bytes()[31], std::byte{0x11});
  }
}

TEST_F(GgufSplit, NamesTheMissingPart) {
  WriteSet();
  std::remove(folder_.Path(Name(1)).c_str());
  EXPECT_EQ(Refusal(Name(0)),
            Name(1) + ": file: cannot be opened: No such file or directory (part 2 of the 3 that " +
                folder_.Path(Name(0)) + " belongs to)");
}

TEST_F(GgufSplit, RefusesPartsJoinedWithCat) {
  const std::string joined = Part(0).bytes() + Part(1).bytes() + Part(2).bytes();
  folder_.Write("model.gguf", joined);
  EXPECT_NE(Refusal("model.gguf").find("not to be joined with cat"), std::string::npos)
      << Refusal("model.gguf");
  WriteSet();
  folder_.Write(Name(1), Part(1).bytes() + Part(2).bytes());
  EXPECT_NE(Refusal(Name(1)).find("not to be joined with cat"), std::string::npos) << Refusal(Name(1));
}

TEST_F(GgufSplit, RefusesNamesAndKeysThatDoNotAgree) {
  WriteSet();
  folder_.Write("renamed.gguf", Part(1).bytes());
  EXPECT_EQ(Refusal("renamed.gguf"),
            "renamed.gguf: split.count: found 3, expected the file's name to end in -00001-of-00003.gguf or "
            "the like");
  folder_.Write(Name(2), Part(1).bytes());
  EXPECT_EQ(Refusal(Name(0)), Name(2) + ": split.no: found 1, expected 2 as in the file's name");
  folder_.Write(Name(2), Part(2, 4).bytes());
  EXPECT_EQ(Refusal(Name(0)), Name(2) + ": split.count: found 4, expected 3");
  folder_.Write(Name(2), GgufBytes().Header(0, 0).bytes());
  EXPECT_EQ(Refusal(Name(0)), Name(2) + ": split.count: absent, expected 3 as in the file's name");
  EXPECT_EQ(Refusal(Name(2)), Name(2) + ": split.count: absent, expected 3 as in the file's name");
}

TEST_F(GgufSplit, CountsTheTensorsOfAllParts) {
  WriteSet();
  folder_.Write(Name(0), Part(0, 3, 7).bytes());
  EXPECT_EQ(Refusal(Name(0)), Name(0) + ": split.tensors.count: found 7, but the 3 parts hold 2 tensors");
}

TEST_F(GgufSplit, RefusesATensorThatTwoPartsHold) {
  WriteSet();
  GgufBytes twice;
  twice.Header(1, 2)
      .Key("split.no", GgufType::kU16, uint16_t{2})
      .Key("split.count", GgufType::kU16, uint16_t{3})
      .Tensor("tensor1", {8}, 0, 0)
      .PadTo(32)
      .Data(32);
  folder_.Write(Name(2), twice.bytes());
  EXPECT_EQ(Refusal(Name(0)), Name(2) + ": tensor1: a second tensor of this name, expected one");
}

TEST_F(GgufSplit, TakesASetOfOneAsAFile) {
  folder_.Write("model-00001-of-00001.gguf", GgufBytes().Header(0, 0).bytes());
  EXPECT_EQ(Refusal("model-00001-of-00001.gguf"), "accepted");
  folder_.Write("whole.gguf", Part(1, 1, 1).bytes());
  EXPECT_EQ(Refusal("whole.gguf"), "accepted");
}

}  // namespace
}  // namespace hone
