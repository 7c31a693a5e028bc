// Strings of the template language: UTF-8 bytes, their length in code points, and which bytes came from the
// variables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::chat {

// Bytes [begin, end) that came from the variables.
struct Run {
  size_t begin = 0;
  size_t end = 0;
};

// Adds [begin, end) to sorted, disjoint runs that all end at or before `begin`.
void AddRun(std::vector<Run>& runs, size_t begin, size_t end);

class Text {
 public:
  Text() = default;
  Text(std::string bytes, std::vector<Run> runs);

  std::string_view bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }
  // Code points; a byte that is not part of valid UTF-8 counts as one.
  int64_t length() const { return length_; }
  bool tainted() const { return !runs_.empty(); }
  bool IsTainted(size_t begin, size_t end) const;

  // Byte offset of code point `index`, 0 <= index <= length().
  size_t Offset(int64_t index) const;
  // Code points before byte `offset`.
  int64_t Index(size_t offset) const;
  Text Slice(size_t begin, size_t end) const;  // bytes

 private:
  std::string bytes_;
  std::vector<Run> runs_;
  int64_t length_ = 0;
};

// Builds a Text piece by piece.
class TextBuilder {
 public:
  void Append(std::string_view bytes, bool tainted);
  void Append(const Text& text) { Append(text, 0, text.bytes().size()); }
  void Append(const Text& text, size_t begin, size_t end);
  size_t size() const { return bytes_.size(); }
  void Reserve(size_t bytes) { bytes_.reserve(bytes); }
  Text Take() { return Text(std::move(bytes_), std::move(runs_)); }
  std::string&& TakeBytes() { return std::move(bytes_); }
  std::vector<Run>&& TakeRuns() { return std::move(runs_); }

 private:
  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace hone::chat
