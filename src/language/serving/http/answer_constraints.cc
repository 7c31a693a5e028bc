#include "language/serving/http/answer_constraints.h"

#include <algorithm>

namespace hone {
namespace {

// What is kept for later requests: so many, and so much.
constexpr size_t kMostKept = 64;
constexpr size_t kMostKeptBytes = size_t{128} << 20;

}  // namespace

std::shared_ptr<const TokenTable> AnswerConstraints::Table() {
  std::call_once(table_made_, [&] { table_ = std::make_shared<TokenTable>(tokenizer_); });
  return table_;
}

ApiResult<Constraint> AnswerConstraints::CompileBoth(const std::optional<AnswerFormat>& format,
                                                     const ToolRequest& tools,
                                                     std::optional<ThinkingStart> thinking) {
  const auto table = Table();
  std::optional<Constraint> constraint;
  if (format) {
    HONE_TRY(constraint, Compile(*format));
  }
  if (tools.active()) {
    ToolCallOptions options = tools.Options(syntax_);
    // Beside a format nothing is free: an answer is a call from its first byte on, or has the format.
    const bool either = constraint && options.choice == ToolChoice::kAuto;
    if (either) options.choice = ToolChoice::kRequired;
    const auto declarations = tools.Declarations();
    auto calls = ToolCallGrammar(declarations, options, table.get());
    if (!calls) return BadField("tools", "tools: " + calls.error().message);
    if (either) {
      auto both = EitherConstraint(*constraint, **calls);
      if (!both) return BadField(format->field, both.error().message);
      constraint = std::move(*both);
    } else {
      constraint = std::move(**calls);
    }
  }
  if (thinking) {
    auto behind = AfterThinking(*constraint, *thinking, table.get());
    if (!behind) return BadField("response_format", behind.error().message);
    constraint = std::move(*behind);
  }
  return std::move(*constraint);
}

ApiResult<std::shared_ptr<TokenMasks>> AnswerConstraints::Masks(const std::optional<AnswerFormat>& format,
                                                                const ToolRequest& tools,
                                                                std::optional<ThinkingStart> thinking,
                                                                const std::vector<TokenId>& ends) {
  if (!format && !tools.active()) return std::shared_ptr<TokenMasks>();
  const std::string calls = tools.active() ? tools.Key() : "";
  std::string key = fmt::format("{} {}", thinking ? static_cast<int>(*thinking) : -1, calls.size());
  for (const TokenId end : ends) key += fmt::format(" {}", end);
  key += "\n" + calls + (format ? format->Key() : "");
  {
    const std::lock_guard lock(mutex_);
    const auto known =
        std::find_if(kept_.begin(), kept_.end(), [&](const auto& entry) { return entry.first == key; });
    if (known != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, known);
      return known->second;
    }
  }
  HONE_TRY(Constraint constraint, CompileBoth(format, tools, thinking));
  auto masks = std::make_shared<TokenMasks>(std::move(constraint), Table(), ends);
  Keep(key, masks);
  return masks;
}

void AnswerConstraints::Keep(const std::string& key, std::shared_ptr<TokenMasks> masks) {
  const std::lock_guard lock(mutex_);
  kept_.emplace_front(key, std::move(masks));
  size_t bytes = 0;
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    {
      const auto lock = entry->second->Lock();
      bytes += entry->second->memory();
    }
    const bool beyond = bytes > kMostKeptBytes ||
                        std::distance(kept_.begin(), entry) >= static_cast<std::ptrdiff_t>(kMostKept);
    entry = beyond && entry != kept_.begin() ? kept_.erase(entry) : std::next(entry);
  }
}

}  // namespace hone
