#include "core/formats/tokenizer/special_spellings.h"

#include <algorithm>
#include <array>

namespace hone {
namespace {

// In the order in which one is taken for the end of a turn.
constexpr std::array<std::string_view, 15> kTurnEnds = {"<|eot_id|>",
                                                        "<|eot|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<end_of_turn>",
                                                        "<turn|>",
                                                        "<|END_OF_TURN_TOKEN|>",
                                                        "<end_of_utterance>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "<|end_of_text|>",
                                                        "<｜end▁of▁sentence｜>",
                                                        "<|endoftext|>",
                                                        "<|eom_id|>"};
constexpr std::array<std::string_view, 12> kAnswerEnds = {
    "<|return|>", "<|call|>",         "<|flush|>", "<|calls|>",   "</s>",          "[EOS]",
    "<eos>",      "<|tool_response>", "[e~[",      "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"};
constexpr std::array<std::string_view, 8> kMarkers = {
    "<start_of_turn>", "<end_of_turn>",    "[INST]",           "[/INST]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<start_of_image>", "<end_of_image>"};

bool Within(const auto& list, std::string_view text) { return std::ranges::find(list, text) != list.end(); }

}  // namespace

bool SpellsEnd(std::string_view text) { return Within(kTurnEnds, text) || Within(kAnswerEnds, text); }

bool SpellsMarker(std::string_view text) {
  if (text.size() > 4 && text.starts_with("<|") && text.ends_with("|>")) return true;
  if (text.size() > 8 && text.starts_with("<｜") && text.ends_with("｜>")) return true;
  return Within(kMarkers, text);
}

bool SpellsEndUnmistakably(std::string_view text) { return Within(kTurnEnds, text) && SpellsMarker(text); }

void CollectEnds(const Vocabulary& words, const std::vector<TokenId>& more, SpecialTokens& special) {
  std::vector<TokenId>& ends = special.ends;
  ends = more;
  bool has_return = false, has_call = false, has_flush = false;
  TokenId end = kNoToken;
  size_t best = kTurnEnds.size();
  for (TokenId id = 0; id < words.size(); ++id) {
    if (words.kind(id) != TokenKind::kControl) continue;
    const std::string_view text = words.Bytes(id);
    if (!SpellsEnd(text)) continue;
    ends.push_back(id);
    has_return |= text == "<|return|>";
    has_call |= text == "<|call|>" || text == "<|calls|>";
    has_flush |= text == "<|flush|>";
    if (text == "<|end|>") end = id;
    const size_t place = std::ranges::find(kTurnEnds, text) - kTurnEnds.begin();
    if (special.eot == kNoToken || best < kTurnEnds.size()) {
      if (place < best) {
        best = place;
        special.eot = id;
      }
    }
  }
  for (const TokenId id : {special.eos, special.eot}) {
    if (id != kNoToken) ends.push_back(id);
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  if (has_call && (has_return || has_flush)) {
    std::erase(ends, end);
    if (special.eot == end) special.eot = kNoToken;
  }
}

}  // namespace hone
