#include "language/decoding/constraints/code_point_set.h"

#include <algorithm>
#include <string>

#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;
constexpr char32_t kLastCodePoint = 0x10FFFF;

// [first, last], whose spellings are equally long, as sequences: the range is cut wherever a continuation
// byte would not run through all of its 64 values.
void AppendSequences(char32_t first, char32_t last, std::vector<ByteSequence>& sequences) {
  std::string low, high;
  AppendUtf8(first, low);
  AppendUtf8(last, high);
  for (size_t tail = 1; tail < low.size(); ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      AppendSequences(first, first | mask, sequences);
      return AppendSequences((first | mask) + 1, last, sequences);
    }
    if ((last & mask) != mask) {
      AppendSequences(first, (last & ~mask) - 1, sequences);
      return AppendSequences(last & ~mask, last, sequences);
    }
  }
  ByteSequence sequence;
  for (size_t i = 0; i < low.size(); ++i) {
    sequence.push_back(ByteSet::Range(static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])));
  }
  sequences.push_back(std::move(sequence));
}

}  // namespace

CodePointSet CodePointSet::All() { return Of({{0, kLastCodePoint}}); }

CodePointSet CodePointSet::Of(std::initializer_list<Range> ranges) {
  CodePointSet set;
  for (const Range& range : ranges) set.Add(range.first, range.last);
  return set;
}

void CodePointSet::Add(char32_t first, char32_t last) {
  last = std::min(last, kLastCodePoint);
  if (first < kFirstSurrogate) Insert(first, std::min<char32_t>(last, kFirstSurrogate - 1));
  if (last > kLastSurrogate) Insert(std::max<char32_t>(first, kLastSurrogate + 1), last);
}

void CodePointSet::Insert(char32_t first, char32_t last) {
  if (first > last) return;
  // A surrogate gap is never closed: U+D7FF and U+E000 do not touch.
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                [](const Range& range, char32_t value) { return range.last + 1 < value; });
  auto end = begin;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
    ++end;
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, Range{first, last});
}

void CodePointSet::Add(const CodePointSet& other) {
  for (const Range& range : other.ranges_) Insert(range.first, range.last);
}

CodePointSet CodePointSet::Complement() const {
  CodePointSet result;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) result.Add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) result.Add(next, kLastCodePoint);
  return result;
}

CodePointSet CodePointSet::Intersect(const CodePointSet& other) const {
  CodePointSet result;
  size_t i = 0, j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const char32_t first = std::max(ranges_[i].first, other.ranges_[j].first);
    const char32_t last = std::min(ranges_[i].last, other.ranges_[j].last);
    if (first <= last) result.Insert(first, last);
    if (ranges_[i].last < other.ranges_[j].last) {
      ++i;
    } else {
      ++j;
    }
  }
  return result;
}

bool CodePointSet::Has(char32_t code) const {
  const auto range = std::lower_bound(ranges_.begin(), ranges_.end(), code,
                                      [](const Range& r, char32_t value) { return r.last < value; });
  return range != ranges_.end() && range->first <= code;
}

int64_t CodePointSet::count() const {
  int64_t sum = 0;
  for (const Range& range : ranges_) sum += static_cast<int64_t>(range.last) - range.first + 1;
  return sum;
}

std::vector<ByteSequence> Utf8Sequences(const CodePointSet& set) {
  constexpr char32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};
  std::vector<ByteSequence> sequences;
  ByteSet ascii;
  for (const CodePointSet::Range& range : set.ranges()) {
    char32_t first = range.first;
    for (const char32_t limit : kLastOfLength) {
      if (first > range.last || first > limit) continue;
      const char32_t last = std::min(range.last, limit);
      if (limit == 0x7F) {
        ascii |= ByteSet::Range(static_cast<uint8_t>(first), static_cast<uint8_t>(last));
      } else {
        AppendSequences(first, last, sequences);
      }
      first = last + 1;
    }
  }
  if (!ascii.empty()) sequences.insert(sequences.begin(), ByteSequence{ascii});
  return sequences;
}

}  // namespace hone
