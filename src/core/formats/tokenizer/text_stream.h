// Text from tokens one by one, as a stream can show it: whole characters only.
#pragma once

#include <string>
#include <string_view>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

class Decoder {
 public:
  // `tokenizer` outlives the decoder. `mid_text`: the tokens go on an earlier text, so a leading space is the
  // answer's own and stays; otherwise the space that SentencePiece puts before the first word is left out.
  explicit Decoder(const Tokenizer& tokenizer, bool with_control = false, bool mid_text = false);

  // The characters that are finished with this token; may be empty. Broken bytes become U+FFFD.
  std::string Push(TokenId token);
  // What is left: one U+FFFD where a character was cut off. The decoder starts anew.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool with_control_;
  bool drop_space_;
  bool drop_space_at_start_;
  std::string pending_;  // the bytes of an unfinished character
};

// `bytes` as valid UTF-8: appends to `out`, leaves an unfinished character at the end in `bytes`.
void TakeWholeCharacters(std::string& bytes, std::string& out);

}  // namespace hone
