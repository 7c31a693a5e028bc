#include "core/formats/template/text.h"

#include <algorithm>

#include "core/formats/template/unicode.h"

namespace hone::chat {

void AddRun(std::vector<Run>& runs, size_t begin, size_t end) {
  if (begin == end) return;
  if (!runs.empty() && runs.back().end == begin) {
    runs.back().end = end;
  } else {
    runs.push_back({begin, end});
  }
}

Text::Text(std::string bytes, std::vector<Run> runs) : bytes_(std::move(bytes)), runs_(std::move(runs)) {
  length_ = CountCodePoints(bytes_);
}

bool Text::IsTainted(size_t begin, size_t end) const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const Run& run) { return run.begin < end && begin < run.end; });
}

size_t Text::Offset(int64_t index) const {
  if (static_cast<size_t>(length_) == bytes_.size()) return static_cast<size_t>(index);
  size_t offset = 0;
  for (int64_t i = 0; i < index && offset < bytes_.size(); ++i) offset += DecodeAt(bytes_, offset).size;
  return offset;
}

int64_t Text::Index(size_t offset) const {
  if (static_cast<size_t>(length_) == bytes_.size()) return static_cast<int64_t>(offset);
  return CountCodePoints(std::string_view(bytes_).substr(0, offset));
}

Text Text::Slice(size_t begin, size_t end) const {
  std::vector<Run> runs;
  for (const Run& run : runs_) {
    const size_t from = std::max(run.begin, begin);
    const size_t to = std::min(run.end, end);
    if (from < to) runs.push_back({from - begin, to - begin});
  }
  return Text(bytes_.substr(begin, end - begin), std::move(runs));
}

void TextBuilder::Append(std::string_view bytes, bool tainted) {
  if (tainted) AddRun(runs_, bytes_.size(), bytes_.size() + bytes.size());
  bytes_.append(bytes);
}

void TextBuilder::Append(const Text& text, size_t begin, size_t end) {
  const size_t at = bytes_.size();
  // The first run that ends after `begin`: runs are sorted.
  auto run = std::partition_point(text.runs().begin(), text.runs().end(),
                                  [&](const Run& candidate) { return candidate.end <= begin; });
  for (; run != text.runs().end() && run->begin < end; ++run) {
    AddRun(runs_, at + std::max(run->begin, begin) - begin, at + std::min(run->end, end) - begin);
  }
  bytes_.append(text.bytes().substr(begin, end - begin));
}

}  // namespace hone::chat
