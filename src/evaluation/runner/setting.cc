#include "evaluation/runner/setting.h"

#include <array>
#include <charconv>

#include "evaluation/simulation/rounded_weights.h"

namespace hone {
namespace {

struct Mix {
  int bits;
  std::string_view name;
};
constexpr std::array kMixes = {Mix{2, "Q2_K"},   Mix{3, "Q3_K_S"}, Mix{4, "Q4_K_S"},
                               Mix{5, "Q5_K_S"}, Mix{6, "Q6_K"},   Mix{8, "Q8_0"}};

constexpr int kMostBits = 15;

// Takes `key` and a number from the front of `text`; `number` stays where the key is not there.
bool Take(std::string_view& text, std::string_view key, int& number) {
  if (!text.starts_with(key)) return true;
  text.remove_prefix(key.size());
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return failure == std::errc();
}

bool TakeFlag(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key)) return false;
  text.remove_prefix(key.size());
  return true;
}

bool Simulates(int bits) { return bits >= 2 && bits <= kMostBits; }

Result<void> CheckWeights(const EvalSetting& setting) {
  if (setting.weights == 16 && setting.group == 0) return {};
  if (setting.group == 0) {
    if (!setting.type_mix().empty()) return {};
    return Failed(
        "setting {}: no format has {}-bit weights, expected 2, 3, 4, 5, 6, 8 or 16, or groups as in w{}g64",
        setting.name, setting.weights, setting.weights);
  }
  if (!Simulates(setting.weights) || setting.group < 2)
    return WrongUsage("setting {}: expected groups of 2 or more columns in 2 to {} bits", setting.name,
                      kMostBits);
  if (setting.simulate) return {};
  const auto packed = PackedTypeOf(setting.weights, setting.group);
  if (packed) return {};
  return Failed("setting {}: {} (--simulate runs it on rounded floats)", setting.name,
                packed.error().message);
}

Result<void> CheckActivations(const EvalSetting& setting) {
  if (setting.activations == 16 || (setting.activations == 8 && !setting.by_token)) return {};
  if (!Simulates(setting.activations))
    return Failed("setting {}: {}-bit activations, expected 2 to {} or 16", setting.name, setting.activations,
                  kMostBits);
  if (setting.simulate) return {};
  return Failed(
      "setting {}: no kernel multiplies {}-bit activations{}, expected 8 or 16 (--simulate runs it on "
      "rounded "
      "floats)",
      setting.name, setting.activations, setting.activations == 8 ? " rounded by token" : "");
}

Result<void> CheckKv(const EvalSetting& setting) {
  if (setting.kv == 16 || setting.kv == 32) return {};
  if (!Simulates(setting.kv))
    return Failed("setting {}: {}-bit keys and values, expected 2 to {}, 16 or 32", setting.name, setting.kv,
                  kMostBits);
  if (setting.simulate) return {};
  return Failed(
      "setting {}: no cache keeps {}-bit keys and values, expected 16 or 32 (--simulate runs it on rounded "
      "floats)",
      setting.name, setting.kv);
}

}  // namespace

std::string_view EvalSetting::type_mix() const {
  if (group != 0) return "";
  for (const Mix& mix : kMixes) {
    if (mix.bits == weights) return mix.name;
  }
  return "";
}

Result<EvalSetting> ParseSetting(const std::string& text, bool simulate) {
  EvalSetting setting{.name = text, .simulate = simulate};
  std::string_view rest = text;
  bool read = !text.empty() && Take(rest, "w", setting.weights);
  read = read && Take(rest, "g", setting.group) && Take(rest, "a", setting.activations);
  setting.by_token = TakeFlag(rest, "t") || (setting.activations != 16 && setting.activations != 8);
  read = read && Take(rest, "kv", setting.kv) && Take(rest, "g", setting.kv_group) && rest.empty();
  if (!read || setting.group < 0 || setting.kv_group < 0)
    return WrongUsage("setting \"{}\": expected a form such as w4a16kv16, w8, w4g64 or kv4", text);
  HONE_CHECK_OK(CheckWeights(setting));
  HONE_CHECK_OK(CheckActivations(setting));
  HONE_CHECK_OK(CheckKv(setting));
  return setting;
}

}  // namespace hone
