// What tokenizer.json does to a text before and after its model: normalizer, pre_tokenizer, decoder.
#include "core/formats/tokenizer/pretokenizers.h"
#include <nlohmann/json.hpp>

#include "core/formats/tokenizer/tokenizer_json.h"

namespace hone {
namespace {

using Kind = SplitStep::Kind;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// A sequence taken apart: the steps in order. null has none.
void Flatten(const Json& step, std::string_view members, int depth, std::vector<const Json*>& out) {
  if (!step.is_object() || depth > 16) return;
  if (TextOr(Member(step, "type"), "") != "Sequence") {
    out.push_back(&step);
    return;
  }
  const Json& list = Member(step, members);
  if (!list.is_array()) return;
  for (const Json& inner : list) Flatten(inner, members, depth + 1, out);
}

struct Pipeline {
  const std::string& path;
  BpeModel& model;
  Spelling spelling = Spelling::kGlyphs;
  bool spaces_replaced = false;  // the normalizer turns every space into U+2581
  bool in_glyphs = false;        // later steps would see glyphs, not the text
  std::vector<SplitStep> steps = {};

  Result<void> Normalizer(const Json& step);
  Result<void> PreTokenizer(const Json& step, bool first);
  Result<void> Split(const Json& step);
  Result<void> Decoder(const Json& step) const;
};

std::string Quoted(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (static_cast<uint8_t>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) out += '\\';
    out += c;
  }
  return out;
}

Result<void> Pipeline::Normalizer(const Json& step) {
  using NormalKind = NormalizeStep::Kind;
  const std::string type = TextOr(Member(step, "type"), "");
  if (type == "NFC") return model.normalizer.Add({NormalKind::kNfc}), Result<void>{};
  if (type == "NFD") return model.normalizer.Add({NormalKind::kNfd}), Result<void>{};
  if (type == "NFKC") return model.normalizer.Add({NormalKind::kNfkc}), Result<void>{};
  if (type == "NFKD") return model.normalizer.Add({NormalKind::kNfkd}), Result<void>{};
  if (type == "Lowercase") return model.normalizer.Add({NormalKind::kLowercase}), Result<void>{};
  if (type == "Strip") {
    if (FlagOr(Member(step, "strip_left"), true)) model.normalizer.Add({NormalKind::kStripLeft});
    if (FlagOr(Member(step, "strip_right"), true)) model.normalizer.Add({NormalKind::kStripRight});
    return {};
  }
  if (type == "Prepend") {
    const std::string text = TextOr(Member(step, "prepend"), "");
    if (text == kSpaceMark && spelling == Spelling::kSpaceMarks) {
      model.space_prefix = BpeModel::SpacePrefix::kEachFragment;
    } else {
      model.normalizer.Add({NormalKind::kPrepend, "", text});
    }
    return {};
  }
  if (type == "Replace") {
    const Json& literal = Member(Member(step, "pattern"), "String");
    if (!literal.is_string())
      return BadInput(path, "normalizer", "Replace by an expression, expected a literal pattern");
    const std::string pattern = TextOr(literal, ""), content = TextOr(Member(step, "content"), "");
    if (pattern == " " && content == kSpaceMark) {
      spaces_replaced = true;
    } else if (pattern.find(kSpaceMark) != std::string::npos ||
               content.find(kSpaceMark) != std::string::npos) {
      return BadInput(path, "normalizer",
                      "Replace of \"{}\" by \"{}\", expected marks only for single spaces", pattern, content);
    } else {
      model.normalizer.Add({NormalKind::kReplace, pattern, content});
    }
    return {};
  }
  return BadInput(path, "normalizer",
                  "\"{}\", expected NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace or Sequence",
                  type);
}

Result<Kind> Behavior(const std::string& path, const std::string& name) {
  if (name == "Isolated") return Kind::kExpression;
  if (name == "Removed") return Kind::kExpressionGaps;
  if (name == "MergedWithPrevious") return Kind::kExpressionJoinLeft;
  if (name == "MergedWithNext") return Kind::kExpressionJoinRight;
  if (name == "Contiguous") return Kind::kExpressionRuns;
  return BadInput(path, "pre_tokenizer.behavior",
                  "\"{}\", expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous",
                  name);
}

Result<void> Pipeline::Split(const Json& step) {
  const Json& pattern = Member(step, "pattern");
  const Json& literal = Member(pattern, "String");
  const std::string text = literal.is_string() ? TextOr(literal, "") : TextOr(Member(pattern, "Regex"), "");
  if (text.empty()) return BadInput(path, "pre_tokenizer.pattern", "absent, expected String or Regex");
  HONE_TRY(const Kind kind, Behavior(path, TextOr(Member(step, "behavior"), "")));
  if (spelling == Spelling::kSpaceMarks) {
    if (spaces_replaced && literal.is_string() && text == " ") return {};  // no space is left to split at
    const bool spaced = text.find(' ') != std::string::npos || text.find(kSpaceMark) != std::string::npos ||
                        text.find("\\s") != std::string::npos || text.find("\\S") != std::string::npos;
    if (spaced)
      return BadInput(path, "pre_tokenizer", "Split at \"{}\" among marked spaces, expected none", text);
  }
  steps.push_back({kind, literal.is_string() ? Quoted(text) : text, FlagOr(Member(step, "invert"), false)});
  return {};
}

Result<void> Pipeline::PreTokenizer(const Json& step, bool first) {
  const std::string type = TextOr(Member(step, "type"), "");
  if (in_glyphs) {
    return BadInput(path, "pre_tokenizer", "\"{}\" behind ByteLevel, expected ByteLevel as the last step",
                    type);
  }
  using SpacePrefix = BpeModel::SpacePrefix;
  if (type == "Split") return Split(step);
  if (type == "ByteLevel") {
    in_glyphs = true;
    if (FlagOr(Member(step, "add_prefix_space"), true)) {
      if (!first)
        return BadInput(path, "pre_tokenizer.ByteLevel.add_prefix_space",
                        "true behind another step, expected false");
      model.space_prefix = SpacePrefix::kEachFragment;
      model.prefix_only_if_absent = true;
    }
    if (FlagOr(Member(step, "use_regex"), true)) {
      const std::vector<SplitStep> gpt2 = StepsOf(*FindPreTokenizer("gpt-2"));
      steps.insert(steps.end(), gpt2.begin(), gpt2.end());
    }
    return {};
  }
  if (type == "Digits") {
    const bool single = FlagOr(Member(step, "individual_digits"), false);
    steps.push_back({Kind::kExpression, single ? R"(\p{N})" : R"(\p{N}+)"});
    return {};
  }
  if (type == "Punctuation") {
    HONE_TRY(const Kind kind, Behavior(path, TextOr(Member(step, "behavior"), "Isolated")));
    steps.push_back({kind, R"([\p{P}!-/:-@\[-`{-~])"});
    return {};
  }
  if (type == "WhitespaceSplit") {
    steps.push_back({Kind::kExpressionGaps, R"(\s+)"});
    return {};
  }
  if (type == "Metaspace") {
    if (TextOr(Member(step, "replacement"), kSpaceMark) != kSpaceMark) {
      return BadInput(path, "pre_tokenizer.Metaspace.replacement", "{}, expected U+2581",
                      Member(step, "replacement").dump());
    }
    const bool prefixed = FlagOr(Member(step, "add_prefix_space"), true);
    const std::string scheme = TextOr(Member(step, "prepend_scheme"), prefixed ? "always" : "never");
    if (scheme == "always") model.space_prefix = SpacePrefix::kEachFragment;
    if (scheme == "first") model.space_prefix = SpacePrefix::kTextStart;
    model.prefix_only_if_absent = true;
    if (FlagOr(Member(step, "split"), true)) steps.push_back({Kind::kExpressionJoinRight, R"(\x20)"});
    return {};
  }
  return BadInput(
      path, "pre_tokenizer",
      "\"{}\", expected ByteLevel, Split, Digits, Punctuation, WhitespaceSplit, Metaspace or Sequence", type);
}

Result<void> Pipeline::Decoder(const Json& step) const {
  const std::string type = TextOr(Member(step, "type"), "");
  for (const std::string_view known :
       {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}) {
    if (type == known) return {};
  }
  return BadInput(path, "decoder",
                  "\"{}\", expected ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence",
                  type);
}

bool Uses(const std::vector<const Json*>& steps, std::string_view type) {
  for (const Json* step : steps) {
    if (TextOr(Member(*step, "type"), "") == type) return true;
  }
  return false;
}

}  // namespace

Result<Spelling> ReadPipeline(const std::string& path, const Json& file, BpeModel& model) {
  std::vector<const Json*> normalizers, pre_tokenizers, decoders;
  Flatten(Member(file, "normalizer"), "normalizers", 0, normalizers);
  Flatten(Member(file, "pre_tokenizer"), "pretokenizers", 0, pre_tokenizers);
  Flatten(Member(file, "decoder"), "decoders", 0, decoders);
  Pipeline pipeline{path, model};
  if (!Uses(pre_tokenizers, "ByteLevel")) {
    if (!Uses(normalizers, "Replace") && !Uses(pre_tokenizers, "Metaspace")) {
      return BadInput(path, "pre_tokenizer",
                      "{}, expected ByteLevel, Metaspace or a normalizer that marks spaces",
                      pre_tokenizers.empty() ? "none" : TextOr(Member(*pre_tokenizers[0], "type"), "none"));
    }
    pipeline.spelling = Spelling::kSpaceMarks;
    model.units = BpeModel::Units::kCharacters;
    model.space_marks = true;
  }
  for (const Json* step : normalizers) HONE_CHECK_OK(pipeline.Normalizer(*step));
  for (size_t i = 0; i < pre_tokenizers.size(); ++i)
    HONE_CHECK_OK(pipeline.PreTokenizer(*pre_tokenizers[i], i == 0));
  for (const Json* step : decoders) HONE_CHECK_OK(pipeline.Decoder(*step));
  auto splitter = Splitter::Make(pipeline.steps);
  if (!splitter) return BadInput(path, "pre_tokenizer", "{}", splitter.error().message);
  model.splitter = std::move(*splitter);
  return pipeline.spelling;
}

}  // namespace hone
