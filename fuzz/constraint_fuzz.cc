// Any bytes as a JSON Schema (behind an s), a grammar in GBNF (g) or a regular expression (r): compiled or
// refused in one line; and whatever a compiled one lets through can always be finished, or go on.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/recognizer.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

hone::Result<hone::Constraint> Compile(char kind, std::string_view text) {
  switch (kind) {
    case 's':
      return hone::CompileJsonSchema(text);
    case 'g':
      return hone::CompileGbnf(text);
    default:
      return hone::CompileRegex(text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto constraint = Compile(static_cast<char>(data[0]), text);
  if (!constraint) {
    const std::string& message = constraint.error().message;
    Require(!message.empty() && message.find('\n') == message.npos && message.size() < 2000);
    return 0;
  }
  hone::Recognizer recognizer(constraint->grammar, 16);
  hone::Recognizer::State state = recognizer.start();
  uint32_t random = 1;
  for (int step = 0; step < 48; ++step) {
    const hone::ByteSet next = recognizer.NextBytes(state);
    if (next.empty()) {
      Require(recognizer.Accepts(state));
      break;
    }
    random = random * 1664525 + 1013904223;
    uint8_t byte = static_cast<uint8_t>(random >> 24);
    while (!next.Has(byte)) ++byte;
    const hone::Recognizer::State folded = recognizer.Folded(state);
    Require(recognizer.Accepts(folded) == recognizer.Accepts(state));
    Require(recognizer.StepCached(folded, byte) != hone::Recognizer::kDead);
    state = recognizer.Step(state, byte);
    Require(state != hone::Recognizer::kDead);
  }
  return 0;
}
