#include "cli/sampling_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/text_input.h"
#include "language/decoding/constraints/compile.h"

namespace hone {
namespace {

Result<std::vector<std::pair<TokenId, float>>> ParseBias(const std::string& text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return WrongUsage("logit_bias: expected a JSON object such as {{\"42\": -100}}");
  std::vector<std::pair<TokenId, float>> bias;
  for (const auto& [key, value] : json.items()) {
    TokenId id = kNoToken;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (status != std::errc() || end != key.data() + key.size()) {
      return WrongUsage("logit_bias: found the key \"{}\", expected a token id", key);
    }
    if (!value.is_number())
      return WrongUsage("logit_bias: {}: found {}, expected a number", key, value.type_name());
    bias.emplace_back(id, value.get<float>());
  }
  return bias;
}

// What the answer must look like, if one of the flags says so.
Result<std::optional<Constraint>> ParseConstraint(const SamplingFlags& flags) {
  const int count =
      (flags.json_schema.empty() ? 0 : 1) + (flags.grammar.empty() ? 0 : 1) + (flags.regex.empty() ? 0 : 1);
  if (count == 0) return std::optional<Constraint>();
  if (count > 1) return WrongUsage("more than one of --json-schema, --grammar and --regex, expected one");
  Constraint constraint;
  if (!flags.regex.empty()) {
    HONE_TRY(constraint, CompileRegex(flags.regex));
  } else if (!flags.grammar.empty()) {
    HONE_TRY(const std::string text, ReadText(flags.grammar));
    HONE_TRY(constraint, CompileGbnf(text));
  } else if (flags.json_schema.find_first_of("{ \n") == 0) {
    HONE_TRY(constraint, CompileJsonSchema(flags.json_schema));
  } else {
    HONE_TRY(const std::string text, ReadText(flags.json_schema));
    HONE_TRY(constraint, CompileJsonSchema(text));
  }
  return std::optional<Constraint>(std::move(constraint));
}

}  // namespace

Result<GenerateOptions> SamplingFlags::ToOptions() const {
  GenerateOptions options;
  options.sampling = sampling;
  options.sampling.seed = seed;
  if (!logit_bias.empty()) {
    HONE_TRY(options.sampling.logit_bias, ParseBias(logit_bias));
  }
  HONE_TRY(options.constraint, ParseConstraint(*this));
  options.max_tokens = max_tokens;
  options.stop = stop;
  options.ignore_ends = ignore_eos;
  return options;
}

void AddSamplingOptions(CLI::App& app, SamplingFlags& flags) {
  SamplingOptions& sampling = flags.sampling;
  CLI::Option* max_tokens = app.add_option("--max-tokens", flags.max_tokens,
                                           "Longest answer in tokens, at most the rest of the context")
                                ->check(CLI::NonNegativeNumber);
  if (flags.max_tokens >= 0) max_tokens->capture_default_str();
  app.add_option(
         "--context", flags.context,
         "Tokens of prompt and answer together (default: the model's limit; more only when asked here)")
      ->check(CLI::PositiveNumber);
  app.add_option("--chunk", flags.chunk, "Prompt tokens read in one step")
      ->capture_default_str()
      ->check(CLI::Range(1, 8192));
  app.add_option("--temperature", sampling.temperature, "0: the most likely token; higher: more varied")
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "Same seed, same text (default: a fresh one)");
  app.add_option("--top-k", sampling.top_k, "Only the k most likely tokens; 0 or -1: off")
      ->capture_default_str();
  app.add_option("--typical-p", sampling.typical_p,
                 "Only locally typical tokens of this probability mass; 1: off")
      ->capture_default_str();
  app.add_option("--top-p", sampling.top_p, "Only the most likely tokens of this probability mass; 1: off")
      ->capture_default_str();
  app.add_option("--min-p", sampling.min_p, "Only tokens this likely relative to the most likely one; 0: off")
      ->capture_default_str();
  app.add_option("--repetition-penalty", sampling.repetition_penalty,
                 "Divides the logits of tokens that stand in prompt or answer; 1: off")
      ->capture_default_str();
  app.add_option("--presence-penalty", sampling.presence_penalty,
                 "Off the logits of tokens that stand in the answer")
      ->capture_default_str();
  app.add_option("--frequency-penalty", sampling.frequency_penalty,
                 "The same, for each time a token stands there")
      ->capture_default_str();
  app.add_option("--logit-bias", flags.logit_bias,
                 "JSON object, token id to what is added to its logit; -100 bans the token");
  app.add_option("--stop", flags.stop, "End the answer before this text; may be given several times")
      ->take_all()
      ->expected(1);
  app.add_flag("--ignore-eos", flags.ignore_eos, "Go on past tokens that end an answer");
  app.add_option("--json-schema", flags.json_schema,
                 "The answer is JSON for which this schema holds: a file, or the schema itself");
  app.add_option("--grammar", flags.grammar, "The answer is a sentence of this grammar: a file in GBNF");
  app.add_option("--regex", flags.regex, "The answer matches this regular expression as a whole");
  app.add_option("--chat-template-kwargs", flags.chat_template_kwargs,
                 "JSON object of variables for the chat template, such as {\"enable_thinking\": false}");
  app.footer(
      "Order of sampling: logit bias, repetition, presence and frequency penalties, top-k, typical, top-p, "
      "min-p,\n"
      "temperature. The draw depends on the seed and the position alone.\n\n" +
      app.get_footer());
}

}  // namespace hone
