// The form of /v1/completions.
#include <nlohmann/json.hpp>

#include "language/serving/http/answer_json.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

class Completion : public IdentifiedWriter {
 public:
  Completion(AnswerIdentity identity, CompletionEcho echo)
      : IdentifiedWriter(std::move(identity)), echo_(std::move(echo)) {}

  std::string Whole(const std::vector<FinishedChoice>& choices) override {
    Json json = Common();
    json["choices"] = Json::array();
    for (size_t i = 0; i < choices.size(); ++i) {
      const std::string prompt = Echoed(i);
      Json choice;
      choice["index"] = i;
      choice["text"] = prompt + choices[i].all.text;
      choice["logprobs"] = identity_.log_probabilities ? Scores(i, choices[i]) : Json(nullptr);
      choice["finish_reason"] = choices[i].finish_reason;
      if (!choices[i].stop_string.empty()) choice["stop_reason"] = choices[i].stop_string;
      json["choices"].push_back(std::move(choice));
    }
    json["usage"] = Usage(choices, echo_.choices);
    json["seed"] = identity_.seed;
    return Dump(json);
  }

  std::string Begin() override {
    std::string events;
    const size_t count = echo_.texts.size() * static_cast<size_t>(echo_.choices);
    for (size_t i = 0; i < count; ++i) events += Chunk(static_cast<int64_t>(i), Echoed(i), nullptr, nullptr);
    return events;
  }

  std::string Piece(int64_t choice, const AnswerPiece& piece) override {
    const Json scores = identity_.log_probabilities ? List(piece.tokens, 0, Offset(choice)) : Json(nullptr);
    Advance(choice, piece.tokens);
    return Chunk(choice, piece.text, nullptr, scores);
  }
  std::string End(int64_t choice, const FinishedChoice& finished) override {
    return Chunk(choice, "", finished.finish_reason, nullptr);
  }
  std::string Close(const std::vector<FinishedChoice>& choices) override {
    std::string events;
    if (identity_.include_usage) {
      Json json = Common();
      json["choices"] = Json::array();
      json["usage"] = Usage(choices, echo_.choices);
      json["seed"] = identity_.seed;
      events += Event(json);
    }
    return events + "data: [DONE]\n\n";
  }

 private:
  Json Common() const {
    Json json;
    json["id"] = identity_.id;
    json["object"] = "text_completion";
    json["created"] = identity_.created;
    json["model"] = identity_.model;
    return json;
  }

  std::string Echoed(size_t choice) const {
    return echo_.texts.empty() ? "" : echo_.texts[choice / static_cast<size_t>(echo_.choices)];
  }

  std::string Chunk(int64_t index, const std::string& text, const Json& finish, const Json& scores) const {
    Json choice;
    choice["index"] = index;
    choice["text"] = text;
    choice["logprobs"] = scores;
    choice["finish_reason"] = finish;
    Json json = Common();
    json["choices"] = Json::array({std::move(choice)});
    return Event(json);
  }

  // Where the tokens of a choice's next piece begin in its text.
  size_t& Offset(int64_t choice) {
    const auto at = static_cast<size_t>(choice);
    if (at >= offsets_.size()) offsets_.resize(at + 1, Echoed(at).size());
    return offsets_[at];
  }
  void Advance(int64_t choice, const std::vector<ChosenToken>& tokens) {
    for (const ChosenToken& token : tokens)
      Offset(choice) += TokenText(*identity_.tokenizer, token.id).size();
  }

  // `unscored`: how many of the first tokens have no score, as the first of a prompt.
  Json List(const std::vector<ChosenToken>& tokens, size_t unscored, size_t offset) const {
    Json names = Json::array();
    Json scores = Json::array();
    Json tops = Json::array();
    Json offsets = Json::array();
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string text = TokenText(*identity_.tokenizer, tokens[i].id);
      names.push_back(text);
      offsets.push_back(offset);
      offset += text.size();
      if (i < unscored) {
        scores.push_back(nullptr);
        tops.push_back(nullptr);
        continue;
      }
      scores.push_back(tokens[i].log_probability.value_or(0.0));
      Json top = Json::object();
      for (const ScoredToken& other : tokens[i].top) {
        top[TokenText(*identity_.tokenizer, other.id)] = LogProbabilityOf(tokens[i], other);
      }
      // The chosen token is always among them.
      if (!tokens[i].top.empty() && !top.contains(text)) top[text] = tokens[i].log_probability.value_or(0.0);
      tops.push_back(std::move(top));
    }
    return {{"tokens", std::move(names)},
            {"token_logprobs", std::move(scores)},
            {"top_logprobs", std::move(tops)},
            {"text_offset", std::move(offsets)}};
  }

  Json Scores(size_t index, const FinishedChoice& choice) const {
    std::vector<ChosenToken> tokens;
    size_t unscored = 0;
    if (!echo_.tokens.empty()) {
      const auto& prompt = echo_.tokens[index / static_cast<size_t>(echo_.choices)];
      ChosenToken first;
      first.id = prompt.front();
      tokens.push_back(first);
      unscored = 1;
      tokens.insert(tokens.end(), choice.prompt.begin(), choice.prompt.end());
    }
    tokens.insert(tokens.end(), choice.all.tokens.begin(), choice.all.tokens.end());
    return List(tokens, unscored, 0);
  }

  CompletionEcho echo_;
  std::vector<size_t> offsets_;
};

}  // namespace

std::unique_ptr<AnswerWriter> CompletionWriter(AnswerIdentity identity, CompletionEcho echo) {
  return std::make_unique<Completion>(std::move(identity), std::move(echo));
}

}  // namespace hone
