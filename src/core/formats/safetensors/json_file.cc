#include "core/formats/safetensors/json_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/printable.h"

namespace hone {
namespace {

constexpr uint64_t kMostBytes = 16 << 20;
constexpr size_t kDeepest = 64;

// Reads through the text once, keeping nothing but the open objects' keys, and remembers the first thing
// wrong.
class JsonCheck {
 public:
  using number_integer_t = nlohmann::ordered_json::number_integer_t;
  using number_unsigned_t = nlohmann::ordered_json::number_unsigned_t;
  using number_float_t = nlohmann::ordered_json::number_float_t;
  using string_t = nlohmann::ordered_json::string_t;
  using binary_t = nlohmann::ordered_json::binary_t;

  bool null() { return Value(); }
  bool boolean(bool) { return Value(); }
  bool number_integer(number_integer_t) { return Value(); }
  bool number_unsigned(number_unsigned_t) { return Value(); }
  bool number_float(number_float_t, const string_t&) { return Value(); }
  bool string(string_t&) { return Value(); }
  bool binary(binary_t&) { return Value(); }
  bool start_object(size_t) { return Open(); }
  bool start_array(size_t) { return Value() && Open(); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(string_t& name) {
    if (open_.back().insert(name).second) return true;
    return Wrong(Printable(name), "found twice in one object, expected once");
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    wrong_position_ = position;
    return false;
  }

  const std::string& field() const { return field_; }
  const std::string& found() const { return found_; }
  size_t wrong_position() const { return wrong_position_; }  // from 1

 private:
  bool Value() { return !open_.empty() || Wrong("top level", "not an object, expected {...}"); }
  bool Open() {
    if (open_.size() == kDeepest) return Wrong("nesting", fmt::format("deeper than {} levels", kDeepest));
    open_.emplace_back();
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  bool Wrong(std::string field, std::string found) {
    field_ = std::move(field);
    found_ = std::move(found);
    return false;
  }

  std::vector<std::unordered_set<std::string>> open_;
  std::string field_;
  std::string found_;
  size_t wrong_position_ = 0;
};

}  // namespace

Result<nlohmann::ordered_json> ReadJsonObject(const std::string& path) {
  HONE_TRY(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.size() > kMostBytes) {
    return BadInput(path, "file", "{} bytes, expected at most {}", text.size(), kMostBytes);
  }
  JsonCheck check;
  if (!nlohmann::ordered_json::sax_parse(text.begin(), text.end(), &check)) {
    if (!check.field().empty()) return BadInput(path, check.field(), "{}", check.found());
    const std::string_view before =
        text.substr(0, check.wrong_position() == 0 ? 0 : check.wrong_position() - 1);
    const size_t line_begin = before.rfind('\n') + 1;  // 0 where there is none
    return BadInput(path, fmt::format("line {}", 1 + std::ranges::count(before, '\n')),
                    "malformed JSON at column {}, expected an object", before.size() - line_begin + 1);
  }
  return nlohmann::ordered_json::parse(text.begin(), text.end(), nullptr, false);
}

}  // namespace hone
