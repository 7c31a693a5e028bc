// Any bytes as a vocabulary: a GGUF file, or tokenizer.json where they start like JSON. What loads turns
// texts, the end of the input among them, into ids of the vocabulary and back.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "fuzz/memory_file.h"

namespace {

// A folder for tokenizer.json that vanishes with the program.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() / ("hone_tokenizer_fuzz_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void Use(const hone::Result<std::shared_ptr<const hone::Tokenizer>>& loaded, const std::string& tail) {
  if (!loaded) {
    if (loaded.error().message.find('\n') != std::string::npos) std::abort();
    return;
  }
  const hone::Tokenizer& tokenizer = **loaded;
  for (const std::string& text :
       {std::string("hello <|im_start|> 123\n\n\xFF é"), std::string(3000, 'a'), tail}) {
    const hone::Encoding encoding = tokenizer.Encode(text, {});
    for (const hone::TokenId id : encoding.tokens) {
      if (id < 0 || id >= tokenizer.vocabulary_size()) std::abort();
    }
    tokenizer.Decode(encoding.tokens, true);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kTail = 200;
  const char* text = reinterpret_cast<const char*>(data);
  const std::string tail(text + (size > kTail ? size - kTail : 0), text + size);
  if (size > 0 && data[0] == '{') {
    static const Folder folder;
    std::ofstream(folder.path() / "tokenizer.json", std::ios::binary)
        .write(text, static_cast<std::streamsize>(size));
    Use(hone::Tokenizer::FromFolder(folder.path().string()), tail);
    return 0;
  }
  const hone::MemoryFile memory(data, size);
  const auto file = hone::GgufFile::Open(memory.path());
  if (file) Use(hone::Tokenizer::FromGguf(*file), tail);
  return 0;
}
