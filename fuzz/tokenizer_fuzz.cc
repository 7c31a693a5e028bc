// Any bytes as a vocabulary: a GGUF file, or tokenizer.json where they start like JSON. What loads turns
// texts into ids of the vocabulary and back.
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

void Use(const hone::Result<std::shared_ptr<const hone::Tokenizer>>& loaded) {
  if (!loaded) {
    if (loaded.error().message.find('\n') != std::string::npos) std::abort();
    return;
  }
  const hone::Tokenizer& tokenizer = **loaded;
  for (const std::string& text : {std::string("hello <|im_start|> 123\n\n\xFF é"), std::string(3000, 'a')}) {
    const hone::Encoding encoding = tokenizer.Encode(text, {});
    for (const hone::TokenId id : encoding.tokens) {
      if (id < 0 || id >= tokenizer.vocabulary_size()) std::abort();
    }
    tokenizer.Decode(encoding.tokens, true);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && data[0] == '{') {
    static const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("hone_tokenizer_fuzz_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "tokenizer.json", std::ios::binary)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    Use(hone::Tokenizer::FromFolder(folder.string()));
    return 0;
  }
  const hone::MemoryFile memory(data, size);
  const auto file = hone::GgufFile::Open(memory.path());
  if (file) Use(hone::Tokenizer::FromGguf(*file));
  return 0;
}
