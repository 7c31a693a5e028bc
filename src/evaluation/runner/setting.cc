#include "evaluation/runner/setting.h"

#include <array>
#include <charconv>

namespace hone {
namespace {

struct Mix {
  int bits;
  std::string_view name;
};
constexpr std::array kMixes = {Mix{2, "Q2_K"},   Mix{3, "Q3_K_S"}, Mix{4, "Q4_K_S"},
                               Mix{5, "Q5_K_S"}, Mix{6, "Q6_K"},   Mix{8, "Q8_0"}};

// Takes `key` and a number from the front of `text`; `bits` stays where the key is not there.
bool Take(std::string_view& text, std::string_view key, int& bits) {
  if (!text.starts_with(key)) return true;
  text.remove_prefix(key.size());
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bits);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return failure == std::errc();
}

}  // namespace

std::string_view EvalSetting::type_mix() const {
  for (const Mix& mix : kMixes) {
    if (mix.bits == weights) return mix.name;
  }
  return "";
}

Result<EvalSetting> ParseSetting(const std::string& text) {
  EvalSetting setting{.name = text};
  std::string_view rest = text;
  const bool read = !text.empty() && Take(rest, "w", setting.weights) &&
                    Take(rest, "a", setting.activations) && Take(rest, "kv", setting.kv) && rest.empty();
  if (!read) return WrongUsage("setting \"{}\": expected a form such as w4a16kv16 or w8", text);
  if (setting.weights != 16 && setting.type_mix().empty())
    return Failed("setting {}: no format has {}-bit weights, expected 2, 3, 4, 5, 6, 8 or 16", text,
                  setting.weights);
  if (setting.activations != 16 && setting.activations != 8)
    return Failed("setting {}: no kernel multiplies {}-bit activations, expected 8 or 16", text,
                  setting.activations);
  if (setting.kv != 16 && setting.kv != 32)
    return Failed("setting {}: no cache keeps {}-bit keys and values, expected 16 or 32", text, setting.kv);
  return setting;
}

}  // namespace hone
