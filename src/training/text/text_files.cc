#include "training/text/text_files.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/base/mapped_file.h"
#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

Result<void> CheckUtf8(std::string_view text, const std::string& path) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = NextUtf8(text.substr(at));
    if (unit.kind != Utf8Unit::Kind::kCharacter)
      return BadInput(path, fmt::format("byte {}", at), "0x{:02x}, expected UTF-8",
                      static_cast<uint8_t>(text[at]));
    at += unit.length;
  }
  return {};
}

Result<std::string> DocumentOfLine(std::string_view line, const std::string& path, int64_t number) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  std::string document;
  if (json.is_object()) {
    for (const auto& member : json) {
      if (!member.is_string()) continue;
      if (!document.empty()) document += "\n";
      document += member.get<std::string>();
    }
  }
  if (document.empty())
    return BadInput(path, fmt::format("line {}", number),
                    "found no JSON object with text, expected one a line");
  return document;
}

}  // namespace

Result<std::vector<std::string>> ReadDocuments(const std::string& path) {
  HONE_TRY(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.empty()) return BadInput(path, "text", "found 0 bytes, expected text");
  HONE_CHECK_OK(CheckUtf8(text, path));
  if (!path.ends_with(".jsonl")) return std::vector<std::string>{std::string(text)};
  std::vector<std::string> documents;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    if (const std::string_view line = text.substr(at, end - at);
        line.find_first_not_of(" \t\r") != line.npos) {
      HONE_TRY(std::string document, DocumentOfLine(line, path, number));
      documents.push_back(std::move(document));
    }
    at = end + 1;
  }
  if (documents.empty()) return BadInput(path, "lines", "found none, expected JSON objects");
  return documents;
}

}  // namespace hone
