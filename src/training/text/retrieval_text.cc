#include "training/text/retrieval_text.h"

#include <fmt/format.h>

#include <array>

#include "core/base/random.h"
#include "training/text/token_mixture.h"

namespace hone {
namespace {

constexpr uint32_t kNameUse = 0x0E7A0001;
constexpr uint32_t kValueUse = 0x0E7A0002;
constexpr uint32_t kAskedUse = 0x0E7A0003;
constexpr uint32_t kCountUse = 0x0E7A0004;
constexpr uint32_t kMostValue = 50000;
constexpr uint32_t kLeastLearned = 2;
constexpr uint32_t kMostLearned = 24;

constexpr std::array kAdjectives = {
    "brave", "quiet", "green",  "sharp",  "early", "round", "clear", "heavy", "smart", "proud", "gentle",
    "rapid", "dusty", "golden", "hollow", "icy",   "jolly", "keen",  "lucky", "misty", "noble", "olive",
    "plain", "royal", "salty",  "tidy",   "upper", "vivid", "wild",  "young", "zesty", "amber"};
constexpr std::array kNouns = {"otter",  "stone",  "river",   "maple",  "falcon", "harbor", "lantern",
                               "meadow", "needle", "ocean",   "pepper", "quarry", "rocket", "saddle",
                               "temple", "valley", "willow",  "anchor", "basket", "candle", "dragon",
                               "engine", "forest", "garden",  "hammer", "island", "jacket", "kettle",
                               "ladder", "magnet", "orchard", "piano"};
constexpr uint64_t kNames = kAdjectives.size() * kNouns.size();

uint64_t CaseKey(uint64_t seed, uint64_t index) {
  const auto words = RandomWords(seed, index, kNameUse);
  return static_cast<uint64_t>(words[0]) << 32 | words[1];
}

std::string NameOf(uint64_t key, int64_t line) {
  const uint64_t name = ShuffledIndex(static_cast<uint64_t>(line), kNames, key);
  return fmt::format("{}-{}", kAdjectives[name / kNouns.size()], kNouns[name % kNouns.size()]);
}

uint32_t ValueOf(uint64_t key, int64_t line) {
  return 1 + RandomWord(key, static_cast<uint64_t>(line), kValueUse) % kMostValue;
}

std::string Records(uint64_t key, int64_t lines) {
  std::string records;
  for (int64_t line = 0; line < lines; ++line)
    records += fmt::format("line {}: REGISTER_CONTENT is <{}>\n", NameOf(key, line), ValueOf(key, line));
  return records;
}

std::string Question(uint64_t key, int64_t line) {
  return fmt::format("The REGISTER_CONTENT of line {} is <", NameOf(key, line));
}

}  // namespace

RetrievalCase MakeRetrievalCase(uint64_t seed, uint64_t index, int64_t lines) {
  const uint64_t key = CaseKey(seed, index);
  const auto asked = static_cast<int64_t>(RandomWord(key, 0, kAskedUse) % static_cast<uint64_t>(lines));
  return {Records(key, lines), Question(key, asked), std::to_string(ValueOf(key, asked)), asked};
}

std::string RetrievalDocument(uint64_t seed, uint64_t index) {
  const uint64_t key = CaseKey(seed, index);
  const auto lines = static_cast<int64_t>(kLeastLearned +
                                          RandomWord(key, 0, kCountUse) % (kMostLearned - kLeastLearned + 1));
  std::string text = Records(key, lines);
  for (int64_t i = 0; i < lines; ++i) {
    const auto line =
        static_cast<int64_t>(ShuffledIndex(static_cast<uint64_t>(i), static_cast<uint64_t>(lines), ~key));
    text += fmt::format("{}{}>\n", Question(key, line), ValueOf(key, line));
  }
  return text;
}

}  // namespace hone
