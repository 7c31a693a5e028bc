#include "core/formats/tokenizer/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/formats/tokenizer/unicode_classes.h"
#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

using Piece = Splitter::Piece;

constexpr uint32_t kMatchLimit = 2'000'000;   // backtracking steps of one match
constexpr size_t kJitStackStart = 32 * 1024;  // bytes, on the heap
constexpr size_t kJitStackMost = 8 * 1024 * 1024;

// White_Space, as Rust, Python and llama.cpp read \s; PCRE2's adds U+180E.
constexpr std::string_view kWhiteSpace =
    R"(\t-\r\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string WithWhiteSpaceSpelledOut(std::string_view expression) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      const char escaped = expression[++i];
      if (escaped == 's') {
        out += in_class ? std::string(kWhiteSpace) : "[" + std::string(kWhiteSpace) + "]";
      } else if (escaped == 'S' && !in_class) {
        out += "[^" + std::string(kWhiteSpace) + "]";
      } else {
        out += c;
        out += escaped;
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

// A text without its broken bytes: each is U+FFFD in `text`, and Original() leads back.
struct RepairedText {
  std::string text;
  std::vector<size_t> repaired;  // offsets in `text` of the characters that stand for one broken byte

  explicit RepairedText(std::string_view broken) {
    while (!broken.empty()) {
      const size_t good = ValidUtf8Prefix(broken);
      text += broken.substr(0, good);
      broken.remove_prefix(good);
      if (broken.empty()) break;
      repaired.push_back(text.size());
      text += "\xEF\xBF\xBD";
      broken.remove_prefix(1);
    }
  }
  void MapBack(std::vector<Piece>& pieces) const {
    size_t seen = 0;
    for (Piece& piece : pieces) {
      while (seen < repaired.size() && repaired[seen] < piece.begin) ++seen;
      piece.begin -= 2 * seen;
      while (seen < repaired.size() && repaired[seen] < piece.end) ++seen;
      piece.end -= 2 * seen;
    }
  }
};

}  // namespace

struct Splitter::Step {
  SplitStep::Kind kind;
  bool invert = false;
  bool jit = false;
  std::shared_ptr<pcre2_code> code;

  void Cut(std::string_view text, Piece piece, Scratch& scratch, std::vector<Piece>& out,
           int64_t& unsplit) const;
  void CutByExpression(std::string_view text, Piece piece, Scratch& scratch, std::vector<Piece>& out,
                       int64_t& unsplit) const;
};

struct Splitter::Scratch::Parts {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = nullptr;
  std::vector<Piece> other;

  Parts() { pcre2_set_match_limit(context, kMatchLimit); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    if (stack != nullptr) pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
  }
  int Match(const Step& step, std::string_view subject, size_t from) {
    if (step.jit && stack == nullptr) {
      stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr);
      pcre2_jit_stack_assign(context, nullptr, stack);
    }
    const auto* units = reinterpret_cast<PCRE2_SPTR>(subject.data());
    if (step.jit) return pcre2_jit_match(step.code.get(), units, subject.size(), from, 0, match, context);
    return pcre2_match(step.code.get(), units, subject.size(), from, PCRE2_NO_UTF_CHECK, match, context);
  }
};

Splitter::Scratch::Scratch() : parts_(std::make_unique<Parts>()) {}
Splitter::Scratch::~Scratch() = default;
Splitter::Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

bool Splitter::empty() const { return steps_.empty(); }

Result<Splitter> Splitter::Make(const std::vector<SplitStep>& steps) {
  Splitter splitter;
  for (const SplitStep& step : steps) {
    Step made{.kind = step.kind, .invert = step.invert, .code = nullptr};
    if (!step.expression.empty()) {
      const std::string expression = WithWhiteSpaceSpelledOut(step.expression);
      int error = 0;
      size_t offset = 0;
      constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
      pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                       kOptions, &error, &offset, nullptr);
      if (code == nullptr) {
        char message[256] = {};
        pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof(message));
        return BadInput("pre-tokenizer", "expression", "\"{}\": {} at byte {}, expected a regular expression",
                        step.expression.substr(0, 200), message, offset);
      }
      made.code.reset(code, pcre2_code_free);
      made.jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    }
    splitter.steps_.push_back(std::move(made));
  }
  return splitter;
}

void Splitter::Step::CutByExpression(std::string_view text, Piece piece, Scratch& scratch,
                                     std::vector<Piece>& out, int64_t& unsplit) const {
  using Kind = SplitStep::Kind;
  const std::string_view subject = text.substr(piece.begin, piece.end - piece.begin);
  const size_t first = out.size();
  size_t done = 0;    // bytes of the subject that have been given to pieces
  size_t joined = 0;  // JoinRight: where the piece that the last match began starts
  const auto emit = [&](size_t begin, size_t end) {
    if (end > begin) out.push_back({piece.begin + begin, piece.begin + end});
  };
  const auto take = [&](size_t begin, size_t end, bool is_match) {
    if (end == begin) return;
    switch (kind) {
      case Kind::kExpressionGaps:
        if (!is_match) emit(begin, end);
        break;
      case Kind::kExpressionJoinLeft:
        if (is_match && out.size() > first && joined != 0) {
          out.back().end = piece.begin + end;
        } else {
          emit(begin, end);
        }
        joined = is_match ? 0 : 1;  // a match joins the gap before it, not another match
        break;
      case Kind::kExpressionJoinRight:
        if (!is_match && joined != 0) {
          out.back().end = piece.begin + end;
        } else {
          emit(begin, end);
        }
        joined = is_match ? 1 : 0;
        break;
      case Kind::kExpressionRuns:
        if (is_match && joined != 0) {
          out.back().end = piece.begin + end;
        } else {
          emit(begin, end);
        }
        joined = is_match ? 1 : 0;
        break;
      default:
        emit(begin, end);
    }
  };
  size_t from = 0;
  while (from <= subject.size()) {
    const int matched = scratch.parts_->Match(*this, subject, from);
    if (matched < 0) {
      if (matched != PCRE2_ERROR_NOMATCH) unsplit += static_cast<int64_t>(subject.size() - done);
      break;
    }
    const size_t* span = pcre2_get_ovector_pointer(scratch.parts_->match);
    const size_t begin = span[0], end = span[1];
    if (end < begin) break;  // \K in a lookahead can turn a match round
    if (end == begin) {      // an empty match cuts nothing: go on behind the next character
      if (begin == subject.size()) break;
      from = begin + NextUtf8(subject.substr(begin)).length;
      continue;
    }
    take(done, begin, invert);
    take(begin, end, !invert);
    from = done = end;
    if (done == subject.size()) break;
  }
  take(done, subject.size(), invert);
}

void Splitter::Step::Cut(std::string_view text, Piece piece, Scratch& scratch, std::vector<Piece>& out,
                         int64_t& unsplit) const {
  if (code != nullptr) return CutByExpression(text, piece, scratch, out, unsplit);
  const bool any_number = kind == SplitStep::Kind::kNumberGroups;
  std::vector<size_t> run;  // where each character of a run of numbers starts
  size_t start = piece.begin;
  const auto cut = [&](size_t at) {
    if (at > start) out.push_back({start, at});
    start = at;
  };
  for (size_t at = piece.begin; at <= piece.end;) {
    Utf8Unit unit{Utf8Unit::Kind::kBroken, 1, 0};
    if (at < piece.end) unit = NextUtf8(text.substr(at, piece.end - at));
    const bool number = any_number ? IsNumber(unit.code) : unit.code >= '0' && unit.code <= '9';
    if (at < piece.end && number) {
      run.push_back(at);
    } else if (!run.empty()) {
      // llama.cpp leaves what stands before a run of \p{N} with its first group; later steps see it there.
      const size_t lead = run.size() % 3;
      for (size_t i = any_number && lead == 0 ? 3 : lead; i < run.size(); i += 3) cut(run[i]);
      if (any_number) cut(at);
      run.clear();
    }
    if (at == piece.end) break;
    at += unit.length;
  }
  cut(piece.end);
}

void Splitter::Split(std::string_view text, Scratch& scratch, std::vector<Piece>& pieces,
                     int64_t& unsplit) const {
  pieces.clear();
  if (text.empty()) return;
  if (ValidUtf8Prefix(text) < text.size() && !steps_.empty()) {
    const RepairedText repaired(text);
    Split(repaired.text, scratch, pieces, unsplit);
    repaired.MapBack(pieces);
    return;
  }
  pieces.push_back({0, text.size()});
  for (const Step& step : steps_) {
    std::vector<Piece>& other = scratch.parts_->other;
    other.clear();
    for (const Piece& piece : pieces) step.Cut(text, piece, scratch, other, unsplit);
    std::swap(pieces, other);
  }
}

}  // namespace hone
