#include "training/text/text_files.h"

#include <gtest/gtest.h>

#include "scratch_folder.h"

namespace hone {
namespace {

TEST(ReadDocuments, TakesATextAsOneAndJsonLinesAsMany) {
  ScratchFolder folder;
  const auto text = ReadDocuments(folder.Write("a.txt", "one\n\ntwo\n"));
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, std::vector<std::string>{"one\n\ntwo\n"});
  const auto lines = ReadDocuments(
      folder.Write("b.jsonl", "{\"question\": \"q1\", \"n\": 3, \"answer\": \"a1\"}\n\n{\"text\": \"t\"}"));
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(*lines, (std::vector<std::string>{"q1\na1", "t"}));
}

TEST(ReadDocuments, NamesTheLineOrByteThatIsWrong) {
  ScratchFolder folder;
  const auto line = ReadDocuments(folder.Write("c.jsonl", "{\"text\": \"t\"}\n{\"n\": 1}\n"));
  ASSERT_FALSE(line);
  EXPECT_NE(line.error().message.find("line 2"), std::string::npos) << line.error().message;
  const auto byte = ReadDocuments(folder.Write("d.txt", "ab\xffz"));
  ASSERT_FALSE(byte);
  EXPECT_NE(byte.error().message.find("byte 2: 0xff"), std::string::npos) << byte.error().message;
  const auto empty = ReadDocuments(folder.Write("e.txt", ""));
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().kind, ErrorKind::kBadInput);
}

}  // namespace
}  // namespace hone
