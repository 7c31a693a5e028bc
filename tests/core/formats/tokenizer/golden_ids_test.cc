// Parity with llama.cpp's vocabularies: .inp holds texts, .out the ids that the reference gives.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/tokenizer.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

std::string Contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Texts are separated by a line that holds only the mark; the line ends around it belong to the mark.
std::vector<std::string> Cases(const std::string& inputs) {
  constexpr std::string_view kMark = "\n__ggml_vocab_test__\n";
  std::vector<std::string> cases;
  for (size_t at = 0; at < inputs.size();) {
    const size_t end = inputs.find(kMark, at);
    if (end == std::string::npos) break;
    cases.push_back(inputs.substr(at, end - at));
    at = end + kMark.size();
  }
  return cases;
}

std::vector<TokenId> Ids(const std::string& line) {
  std::istringstream in(line);
  std::vector<TokenId> ids;
  for (TokenId id; in >> id;) ids.push_back(id);
  return ids;
}

void CheckVocabulary(const fs::path& path) {
  const auto file = GgufFile::Open(path.string());
  ASSERT_TRUE(file) << file.error().message;
  const auto tokenizer = Tokenizer::FromGguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const std::vector<std::string> cases = Cases(Contents(path.string() + ".inp"));
  ASSERT_GT(cases.size(), 40u);
  std::istringstream lines(Contents(path.string() + ".out"));
  for (const std::string& text : cases) {
    std::string expected;
    ASSERT_TRUE(std::getline(lines, expected));
    EXPECT_EQ((*tokenizer)->EncodeText(text).tokens, Ids(expected)) << path.filename() << ": " << text;
  }
  EXPECT_TRUE((*tokenizer)->warnings().empty() || path.string().find("aquila") != std::string::npos)
      << (*tokenizer)->warnings().front();
}

// HONE_TOKENIZER_VOCABULARIES names a folder with more such files.
std::vector<fs::path> Folders() {
  std::vector<fs::path> folders{HONE_SOURCE_DIR "/../shared/golden/tokenizer"};
  if (const char* more = std::getenv("HONE_TOKENIZER_VOCABULARIES")) folders.emplace_back(more);
  return folders;
}

TEST(GoldenIds, EqualTheReferenceForEveryVocabulary) {
  int checked = 0;
  for (const fs::path& folder : Folders()) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const fs::path& path = entry.path();
      if (path.extension() != ".gguf" || !fs::exists(path.string() + ".inp")) continue;
      if (path.string().find("bert") != std::string::npos) continue;  // WordPiece
      CheckVocabulary(path);
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no ../shared";
}

}  // namespace
}  // namespace hone
