// What an answer must look like.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "language/decoding/constraints/grammar.h"

namespace hone {

// Without triggers the grammar holds from the first byte of the answer. With triggers the answer is free
// until the first of them has been written; from there on it must be a sentence of the grammar.
struct Constraint {
  struct Trigger {
    std::string text;            // a control token's name between its two bytes, see ControlTokenText
    bool only_at_start = false;  // counts only as the very beginning of the answer
    bool consumed = true;        // the grammar begins behind it; otherwise with it
  };
  std::shared_ptr<const Grammar> grammar;
  std::vector<Trigger> triggers;
};

}  // namespace hone
