#include "language/decoding/constraints/number_range.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

constexpr uint32_t kMostDigits = 40;
constexpr uint32_t kMostFractionDigits = 40;
constexpr int64_t kMostListed = 10'000;
constexpr int64_t kLargestAutomaton = 200;
constexpr int kMostMultipleDigits = 15;  // within which a double is exact

int CompareWhole(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

std::string Increment(std::string digits) {
  size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9') digits[--i] = '0';
  if (i == 0) return digits.insert(0, 1, '1');
  ++digits[i - 1];
  return digits;
}

// Of a number above zero.
std::string Decrement(std::string digits) {
  size_t i = digits.size();
  while (digits[i - 1] == '0') digits[--i] = '9';
  --digits[i - 1];
  const size_t first = digits.find_first_not_of('0');
  return first == digits.npos ? "0" : digits.substr(first);
}

class DigitGrammar {
 public:
  explicit DigitGrammar(GrammarBuilder& builder) : builder_(builder) {}

  Symbol Digits(uint32_t min, uint32_t max) { return builder_.Repeat(Between('0', '9'), min, max); }
  Symbol Between(char first, char last) {
    return builder_.Bytes(ByteSet::Range(static_cast<uint8_t>(first), static_cast<uint8_t>(last)));
  }

  // Whole numbers from `low` to `high` (absent: as many digits as a number may have).
  Symbol Whole(const std::string& low, const std::optional<std::string>& high) {
    if (high && CompareWhole(low, *high) > 0) return builder_.Nothing();
    const size_t shortest = low.size();
    const size_t longest = high ? high->size() : std::max<size_t>(kMostDigits, shortest + 1);
    if (shortest == longest) return SameLength(low, *high);
    std::vector<Symbol> ways{SameLength(low, std::string(shortest, '9'))};
    const size_t last_free = high ? longest - 1 : longest;
    if (last_free > shortest) {
      ways.push_back(builder_.Sequence({Between('1', '9'), Digits(static_cast<uint32_t>(shortest),
                                                                  static_cast<uint32_t>(last_free - 1))}));
    }
    if (high) ways.push_back(SameLength(std::string(longest - 1, '0').insert(0, 1, '1'), *high));
    return builder_.Choice(std::move(ways));
  }

  // Fractions f (what may stand behind a whole number: nothing, or a point and digits) with 0.low <= 0.f and
  // 0.f <= 0.high, strictly where exclusive; absent bounds hold always.
  struct FractionBound {
    std::string digits;
    bool exclusive = false;
  };
  Symbol Fraction(const std::optional<FractionBound>& low, const std::optional<FractionBound>& high) {
    low_ = low ? *low : FractionBound{};
    high_ = high ? *high : FractionBound{};
    memo_.clear();
    const int from = low ? 0 : kFree;
    const int to = high ? 0 : kFree;
    std::vector<Symbol> ways;
    if (MayEnd(from, to)) ways.push_back(builder_.Empty());
    ways.push_back(builder_.Sequence({builder_.Literal("."), OneDigit(from, to)}));
    return builder_.Choice(std::move(ways));
  }

 private:
  static constexpr int kFree = -1;  // the digits so far decide the comparison

  // Numbers of equally many digits.
  Symbol SameLength(const std::string& low, const std::string& high) {
    const size_t size = low.size();
    size_t shared = 0;
    while (shared < size && low[shared] == high[shared]) ++shared;
    const Symbol prefix = builder_.Literal(low.substr(0, shared));
    if (shared == size) return prefix;
    const auto rest = static_cast<uint32_t>(size - shared - 1);
    std::vector<Symbol> ways;
    ways.push_back(
        builder_.Sequence({builder_.Literal(low.substr(shared, 1)), AtLeast(low.substr(shared + 1))}));
    if (high[shared] - low[shared] > 1) {
      ways.push_back(
          builder_.Sequence({Between(static_cast<char>(low[shared] + 1), static_cast<char>(high[shared] - 1)),
                             Digits(rest, rest)}));
    }
    ways.push_back(
        builder_.Sequence({builder_.Literal(high.substr(shared, 1)), AtMost(high.substr(shared + 1))}));
    return builder_.Sequence({prefix, builder_.Choice(std::move(ways))});
  }

  Symbol AtLeast(const std::string& digits) {
    Symbol symbol = builder_.Empty();
    for (size_t i = digits.size(); i-- > 0;) {
      std::vector<Symbol> ways{builder_.Sequence({builder_.Literal(digits.substr(i, 1)), symbol})};
      const auto rest = static_cast<uint32_t>(digits.size() - i - 1);
      if (digits[i] < '9') {
        ways.push_back(
            builder_.Sequence({Between(static_cast<char>(digits[i] + 1), '9'), Digits(rest, rest)}));
      }
      symbol = builder_.Choice(std::move(ways));
    }
    return symbol;
  }

  Symbol AtMost(const std::string& digits) {
    Symbol symbol = builder_.Empty();
    for (size_t i = digits.size(); i-- > 0;) {
      std::vector<Symbol> ways{builder_.Sequence({builder_.Literal(digits.substr(i, 1)), symbol})};
      const auto rest = static_cast<uint32_t>(digits.size() - i - 1);
      if (digits[i] > '0') {
        ways.push_back(
            builder_.Sequence({Between('0', static_cast<char>(digits[i] - 1)), Digits(rest, rest)}));
      }
      symbol = builder_.Choice(std::move(ways));
    }
    return symbol;
  }

  static bool Exhausted(const FractionBound& bound, int at) {
    return at != kFree && static_cast<size_t>(at) >= bound.digits.size();
  }
  bool MayEnd(int low, int high) const {
    const bool above = low == kFree || (Exhausted(low_, low) && !low_.exclusive);
    const bool below = high == kFree || !Exhausted(high_, high) || !high_.exclusive;
    return above && below;
  }
  static char DigitAt(const FractionBound& bound, int at) {
    return Exhausted(bound, at) ? '0' : bound.digits[static_cast<size_t>(at)];
  }
  static int After(const FractionBound& bound, int at, char bound_digit, char digit) {
    if (at == kFree || digit != bound_digit) return kFree;
    return Exhausted(bound, at) ? at : at + 1;
  }

  Symbol OneDigit(int low, int high) {
    if (low == kFree && high == kFree) return Digits(1, kMostFractionDigits);
    const auto key = std::make_pair(low, high);
    if (const auto known = memo_.find(key); known != memo_.end()) return known->second;
    const Symbol symbol = builder_.Declare();
    memo_.emplace(key, symbol);
    std::map<std::pair<int, int>, ByteSet> next;
    const char least = low == kFree ? '0' : DigitAt(low_, low);
    const char most = high == kFree ? '9' : DigitAt(high_, high);
    for (char digit = least; digit <= most; ++digit) {
      next[{After(low_, low, least, digit), After(high_, high, most, digit)}].Add(
          static_cast<uint8_t>(digit));
    }
    std::vector<Symbol> ways;
    for (const auto& [state, digits] : next) {
      const Symbol digit = builder_.Bytes(digits);
      if (MayEnd(state.first, state.second)) ways.push_back(digit);
      const bool free = state.first == kFree && state.second == kFree;
      ways.push_back(builder_.Sequence(
          {digit, free ? Digits(1, kMostFractionDigits) : OneDigit(state.first, state.second)}));
    }
    builder_.Define(symbol, builder_.Choice(std::move(ways)));
    return symbol;
  }

  GrammarBuilder& builder_;
  FractionBound low_, high_;
  std::map<std::pair<int, int>, Symbol> memo_;
};

// The part of a range with numbers above zero, or at zero too.
struct Magnitudes {
  NumberRange range;
  bool any = false;
};

Magnitudes NotNegative(const NumberRange& range) {
  Magnitudes part;
  const Decimal zero;
  if (range.high &&
      (Compare(range.high->value, zero) < 0 || (range.high->value.is_zero() && range.high->exclusive))) {
    return part;
  }
  part.any = true;
  part.range.high = range.high;
  const bool above = range.low && Compare(range.low->value, zero) >= 0;
  part.range.low = above ? *range.low : NumberRange::Bound{zero, false};
  return part;
}

// The numbers below zero, without their sign.
Magnitudes Negative(const NumberRange& range) {
  NumberRange mirrored;
  if (range.high) mirrored.low = NumberRange::Bound{range.high->value.Negated(), range.high->exclusive};
  if (range.low) mirrored.high = NumberRange::Bound{range.low->value.Negated(), range.low->exclusive};
  mirrored.RaiseLow({Decimal{}, true});
  Magnitudes part;
  part.any = !mirrored.empty();
  part.range = mirrored;
  return part;
}

// Whole numbers in a range of numbers that are not negative.
Symbol WholeWithin(DigitGrammar& digits, GrammarBuilder& builder, const NumberRange& range) {
  std::string low = range.low->value.whole;
  if (!range.low->value.is_whole() || range.low->exclusive) low = Increment(low);
  std::optional<std::string> high;
  if (range.high) {
    high = range.high->value.whole;
    if (range.high->value.is_whole() && range.high->exclusive) {
      if (*high == "0") return builder.Nothing();
      high = Decrement(*high);
    }
  }
  return digits.Whole(low, high);
}

Symbol DecimalsWithin(DigitGrammar& digits, GrammarBuilder& builder, const NumberRange& range) {
  using FractionBound = DigitGrammar::FractionBound;
  const Decimal& low = range.low->value;
  const FractionBound low_fraction{low.fraction, range.low->exclusive};
  if (!range.high) {
    return builder.Choice(
        {builder.Sequence({builder.Literal(low.whole), digits.Fraction(low_fraction, std::nullopt)}),
         builder.Sequence({digits.Whole(Increment(low.whole), std::nullopt),
                           digits.Fraction(std::nullopt, std::nullopt)})});
  }
  const Decimal& high = range.high->value;
  const FractionBound high_fraction{high.fraction, range.high->exclusive};
  const int order = CompareWhole(low.whole, high.whole);
  if (order > 0) return builder.Nothing();
  if (order == 0) {
    return builder.Sequence({builder.Literal(low.whole), digits.Fraction(low_fraction, high_fraction)});
  }
  std::vector<Symbol> ways{
      builder.Sequence({builder.Literal(low.whole), digits.Fraction(low_fraction, std::nullopt)}),
      builder.Sequence({builder.Literal(high.whole), digits.Fraction(std::nullopt, high_fraction)})};
  const std::string first = Increment(low.whole);
  if (CompareWhole(first, high.whole) < 0) {
    ways.push_back(builder.Sequence(
        {digits.Whole(first, Decrement(high.whole)), digits.Fraction(std::nullopt, std::nullopt)}));
  }
  return builder.Choice(std::move(ways));
}

template <class Within>
Symbol Signed(GrammarBuilder& builder, const NumberRange& range, Within&& within) {
  DigitGrammar digits(builder);
  std::vector<Symbol> ways;
  if (const Magnitudes part = NotNegative(range); part.any)
    ways.push_back(within(digits, builder, part.range));
  if (const Magnitudes part = Negative(range); part.any) {
    ways.push_back(builder.Sequence({builder.Literal("-"), within(digits, builder, part.range)}));
  }
  return builder.Choice(std::move(ways));
}

std::optional<int64_t> ToInteger(const Decimal& value) {
  int64_t integer = 0;
  const auto [end, status] =
      std::from_chars(value.whole.data(), value.whole.data() + value.whole.size(), integer);
  if (status != std::errc() || integer > int64_t{1} << 60) return std::nullopt;
  return value.negative ? -integer : integer;
}

}  // namespace

Decimal Decimal::Of(const nlohmann::ordered_json& number) {
  const std::string text = number.dump();
  Decimal decimal;
  std::string digits;
  int64_t point = -1, exponent = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') {
      decimal.negative = true;
    } else if (text[i] == '.') {
      point = static_cast<int64_t>(digits.size());
    } else if (text[i] == 'e' || text[i] == 'E') {
      const size_t begin = i + 1 + (text[i + 1] == '+' ? 1 : 0);
      std::from_chars(text.data() + begin, text.data() + text.size(), exponent);
      break;
    } else {
      digits.push_back(text[i]);
    }
  }
  if (point < 0) point = static_cast<int64_t>(digits.size());
  point += exponent;
  if (point <= 0) {
    digits.insert(0, static_cast<size_t>(1 - point), '0');
    point = 1;
  }
  if (static_cast<size_t>(point) > digits.size())
    digits.append(static_cast<size_t>(point) - digits.size(), '0');
  decimal.whole = digits.substr(0, static_cast<size_t>(point));
  decimal.fraction = digits.substr(static_cast<size_t>(point));
  decimal.whole.erase(0, std::min(decimal.whole.find_first_not_of('0'), decimal.whole.size() - 1));
  while (!decimal.fraction.empty() && decimal.fraction.back() == '0') decimal.fraction.pop_back();
  if (decimal.is_zero()) decimal.negative = false;
  return decimal;
}

Decimal Decimal::Negated() const {
  Decimal result = *this;
  result.negative = !negative && !is_zero();
  return result;
}

int Compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int whole = CompareWhole(a.whole, b.whole);
  const int order = whole != 0 ? whole : a.fraction.compare(b.fraction);
  return a.negative ? -order : order;
}

void NumberRange::RaiseLow(Bound bound) {
  const int order = low ? Compare(bound.value, low->value) : 1;
  if (order > 0 || (order == 0 && bound.exclusive)) low = std::move(bound);
}

void NumberRange::LowerHigh(Bound bound) {
  const int order = high ? Compare(bound.value, high->value) : -1;
  if (order < 0 || (order == 0 && bound.exclusive)) high = std::move(bound);
}

bool NumberRange::empty() const {
  if (!low || !high) return false;
  const int order = Compare(low->value, high->value);
  return order > 0 || (order == 0 && (low->exclusive || high->exclusive));
}

Symbol IntegersWithin(GrammarBuilder& builder, const NumberRange& range) {
  return Signed(builder, range, WholeWithin);
}

Symbol NumbersWithin(GrammarBuilder& builder, const NumberRange& range) {
  return Signed(builder, range, DecimalsWithin);
}

std::optional<Symbol> MultiplesWithin(GrammarBuilder& builder, const NumberRange& range, int64_t divisor) {
  const auto floor_multiple = [&](int64_t value) { return value - ((value % divisor) + divisor) % divisor; };
  const auto low = range.low ? ToInteger(range.low->value) : std::nullopt;
  const auto high = range.high ? ToInteger(range.high->value) : std::nullopt;
  if (low && high && (*high - *low) / divisor <= kMostListed) {
    std::vector<std::string> texts;
    for (int64_t value = floor_multiple(*low); value <= *high + divisor; value += divisor) {
      NumberRange one = range;
      const Decimal decimal = Decimal::Of(nlohmann::ordered_json(value));
      one.RaiseLow({decimal, false});
      one.LowerHigh({decimal, false});
      if (!one.empty()) texts.push_back(std::to_string(value));
    }
    return builder.OneOf(std::move(texts));
  }
  const bool open_low = !range.low || range.low->value.is_zero();
  const bool open_high = !range.high || range.high->value.is_zero();
  if (!open_low || !open_high || divisor > kLargestAutomaton) return std::nullopt;
  // after[r]: what may follow digits whose remainder is r, for ever more digits.
  std::vector<Symbol> after(static_cast<size_t>(divisor), builder.Nothing());
  after[0] = builder.Empty();
  const auto follow = [&](int64_t remainder, char first) {
    std::map<int64_t, ByteSet> next;
    for (char digit = first; digit <= '9'; ++digit) {
      next[(remainder * 10 + (digit - '0')) % divisor].Add(static_cast<uint8_t>(digit));
    }
    std::vector<Symbol> ways;
    for (const auto& [to, digits] : next) {
      ways.push_back(builder.Sequence({builder.Bytes(digits), after[static_cast<size_t>(to)]}));
    }
    return ways;
  };
  for (int more = 1; more < kMostMultipleDigits; ++more) {
    std::vector<Symbol> before;
    for (int64_t r = 0; r < divisor; ++r) {
      std::vector<Symbol> ways = follow(r, '0');
      if (r == 0) ways.push_back(builder.Empty());
      before.push_back(builder.Choice(std::move(ways)));
    }
    after = std::move(before);
  }
  const Symbol above_zero = builder.Choice(follow(0, '1'));
  std::vector<Symbol> ways;
  const bool zero_in = !(range.low && range.low->exclusive) && !(range.high && range.high->exclusive);
  if (zero_in) ways.push_back(builder.Literal("0"));
  if (!range.high) ways.push_back(above_zero);
  if (!range.low) ways.push_back(builder.Sequence({builder.Literal("-"), above_zero}));
  return builder.Choice(std::move(ways));
}

}  // namespace hone
