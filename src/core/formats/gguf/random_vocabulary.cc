#include "core/formats/gguf/random_vocabulary.h"

#include <string>
#include <string_view>
#include <vector>

namespace hone {
namespace {

constexpr int64_t kControlTokens = 4;
constexpr int32_t kNormal = 1;  // token types of GGUF
constexpr int32_t kControl = 3;

constexpr std::string_view kChatMl =
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% "
    "endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

void AppendUtf8(std::string& text, uint32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else {
    text += static_cast<char>(0xc0 | code_point >> 6);
    text += static_cast<char>(0x80 | (code_point & 63));
  }
}

// The printable glyph that stands for a byte in byte-level vocabularies (GPT-2's encoder): printable Latin-1
// bytes stand for themselves, the others, in order, for U+0100 and on.
std::vector<std::string> ByteGlyphs() {
  std::vector<std::string> glyphs(256);
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
    AppendUtf8(glyphs[byte], printable ? byte : next++);
  }
  return glyphs;
}

// Grows the vocabulary merge by merge until it is full.
class Merges {
 public:
  explicit Merges(size_t size) : size_(size), tokens_(ByteGlyphs()) {
    const std::string space = tokens_[' '];
    std::vector<std::string> pairs;
    for (const char a : kLetters) {
      for (const char b : kLetters) {
        Add({a}, {b});
        pairs.push_back({a, b});
      }
    }
    for (const char a : kLetters) Add(space, {a});
    for (const std::string& pair : pairs) Add(space + pair[0], pair.substr(1));
    for (const char a : kLetters) {
      for (const std::string& pair : pairs) Add({a}, pair);
    }
    for (const std::string& pair : pairs) {
      for (const char a : kLetters) Add(space + pair, {a});
    }
    // Every two of the tokens there are, for a vocabulary of any size.
    for (size_t a = 256; tokens_.size() < size_; ++a) {
      for (size_t b = 256; b < 256 + pairs.size() && tokens_.size() < size_; ++b) {
        if (tokens_[a].size() >= 4) Add(tokens_[a], tokens_[b]);
      }
    }
  }

  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::vector<std::string>& merges() const { return merges_; }

 private:
  // From the most frequent in English to the rarest, so that a small vocabulary holds the useful pairs.
  static constexpr std::string_view kLetters = "etaoinshrdlucmfwypvbgkjqxz";

  void Add(const std::string& left, const std::string& right) {
    if (tokens_.size() == size_) return;
    merges_.push_back(left + " " + right);
    tokens_.push_back(left + right);
  }

  size_t size_;
  std::vector<std::string> tokens_;
  std::vector<std::string> merges_;
};

}  // namespace

void SetRandomVocabulary(int64_t size, GgufHeader& header) {
  const Merges merges(static_cast<size_t>(size - kControlTokens));
  std::vector<std::string> tokens = merges.tokens();
  std::vector<int32_t> types(tokens.size(), kNormal);
  for (const char* control : {"<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(control);
    types.push_back(kControl);
  }
  const auto first_control = static_cast<uint32_t>(size - kControlTokens);
  header.SetText("tokenizer.ggml.model", "gpt2");
  header.SetText("tokenizer.ggml.pre", "gpt-2");
  header.SetTexts("tokenizer.ggml.tokens", tokens);
  header.SetArray("tokenizer.ggml.token_type", std::span<const int32_t>(types));
  header.SetTexts("tokenizer.ggml.merges", merges.merges());
  header.Set("tokenizer.ggml.bos_token_id", first_control);
  header.Set("tokenizer.ggml.eos_token_id", first_control + 1);
  header.Set("tokenizer.ggml.eot_token_id", first_control + 3);
  header.Set("tokenizer.ggml.padding_token_id", first_control + 1);
  header.Set("tokenizer.ggml.add_bos_token", true);
  header.Set("tokenizer.ggml.add_eos_token", false);
  header.SetText("tokenizer.chat_template", kChatMl);
}

}  // namespace hone
