// The normalizers of tokenizer.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/formats/tokenizer/splitter.h"

namespace hone {

struct NormalizeStep {
  enum class Kind { kNfc, kNfd, kNfkc, kNfkd, kLowercase, kReplace, kPrepend, kStripLeft, kStripRight };
  Kind kind = Kind::kNfc;
  std::string pattern = {};  // kReplace: a literal text
  std::string content = {};  // kReplace, kPrepend
};

class Normalizer {
 public:
  void Add(NormalizeStep step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }

  // Broken bytes pass through unchanged. `text` may be empty; kPrepend leaves an empty text empty.
  std::string Apply(std::string_view text) const;

 private:
  std::vector<NormalizeStep> steps_;
};

}  // namespace hone
