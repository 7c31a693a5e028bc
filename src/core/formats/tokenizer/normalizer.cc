#include "core/formats/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>

#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

using Kind = NormalizeStep::Kind;

const icu::Normalizer2* Form(Kind kind, UErrorCode& error) {
  switch (kind) {
    case Kind::kNfc:
      return icu::Normalizer2::getNFCInstance(error);
    case Kind::kNfd:
      return icu::Normalizer2::getNFDInstance(error);
    case Kind::kNfkc:
      return icu::Normalizer2::getNFKCInstance(error);
    default:
      return icu::Normalizer2::getNFKDInstance(error);
  }
}

// `run(valid, out)` on every stretch of valid UTF-8; what lies between passes through.
template <class Run>
std::string OnValidStretches(std::string_view text, const Run& run) {
  std::string out;
  while (!text.empty()) {
    const size_t good = ValidUtf8Prefix(text);
    if (good > 0) run(text.substr(0, good), out);
    text.remove_prefix(good);
    if (text.empty()) break;
    out += text[0];
    text.remove_prefix(1);
  }
  return out;
}

std::string UnicodeForm(std::string_view text, Kind kind) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* form = Form(kind, error);
  if (U_FAILURE(error)) return std::string(text);
  return OnValidStretches(text, [&](std::string_view valid, std::string& out) {
    icu::StringByteSink<std::string> sink(&out);
    UErrorCode status = U_ZERO_ERROR;
    form->normalizeUTF8(0, icu::StringPiece(valid.data(), static_cast<int32_t>(valid.size())), sink, nullptr,
                        status);
  });
}

std::string Lowercase(std::string_view text) {
  return OnValidStretches(text, [&](std::string_view valid, std::string& out) {
    icu::StringByteSink<std::string> sink(&out);
    UErrorCode status = U_ZERO_ERROR;
    icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(valid.data(), static_cast<int32_t>(valid.size())), sink,
                              nullptr, status);
  });
}

std::string Replace(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t found = pattern.empty() ? std::string_view::npos : text.find(pattern, at);
    out += text.substr(at, found - at);
    if (found == std::string_view::npos) break;
    out += content;
    at = found + pattern.size();
  }
  return out;
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::string Normalizer::Apply(std::string_view text) const {
  std::string out(text);
  for (const NormalizeStep& step : steps_) {
    switch (step.kind) {
      case Kind::kReplace:
        out = Replace(out, step.pattern, step.content);
        break;
      case Kind::kPrepend:
        if (!out.empty()) out.insert(0, step.content);
        break;
      case Kind::kLowercase:
        out = Lowercase(out);
        break;
      case Kind::kStripLeft:
        out.erase(0, std::find_if_not(out.begin(), out.end(), IsSpace) - out.begin());
        break;
      case Kind::kStripRight:
        while (!out.empty() && IsSpace(out.back())) out.pop_back();
        break;
      default:
        out = UnicodeForm(out, step.kind);
    }
  }
  return out;
}

}  // namespace hone
