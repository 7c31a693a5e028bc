// The form of /v1/chat/completions.
#include <nlohmann/json.hpp>

#include "language/serving/http/answer_json.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

class Chat : public IdentifiedWriter {
 public:
  using IdentifiedWriter::IdentifiedWriter;

  std::string Whole(const std::vector<FinishedChoice>& choices) override {
    Json json = Common("chat.completion");
    json["choices"] = Json::array();
    for (size_t i = 0; i < choices.size(); ++i) json["choices"].push_back(WholeChoice(i, choices[i]));
    json["usage"] = Usage(choices, static_cast<int64_t>(choices.size()));
    json["seed"] = identity_.seed;
    return Dump(json);
  }

  std::string Begin() override { return ""; }

  std::string Piece(int64_t choice, const AnswerPiece& piece) override {
    std::string events = Role(choice);
    Json delta = Json::object();
    if (!piece.reasoning.empty()) delta["reasoning_content"] = piece.reasoning;
    if (!piece.text.empty()) delta["content"] = piece.text;
    if (!piece.calls.empty()) delta["tool_calls"] = CallDeltas(piece.calls);
    events += Chunk(choice, std::move(delta), nullptr, &piece.tokens);
    return events;
  }

  std::string End(int64_t choice, const FinishedChoice& finished) override {
    return Role(choice) + Chunk(choice, Json::object(), finished.finish_reason, nullptr);
  }

  std::string Close(const std::vector<FinishedChoice>& choices) override {
    std::string events;
    if (identity_.include_usage) {
      Json json = Common("chat.completion.chunk");
      json["choices"] = Json::array();
      json["usage"] = Usage(choices, static_cast<int64_t>(choices.size()));
      json["seed"] = identity_.seed;
      events += Event(json);
    }
    return events + "data: [DONE]\n\n";
  }

 private:
  Json Common(const char* object) const {
    Json json;
    json["id"] = identity_.id;
    json["object"] = object;
    json["created"] = identity_.created;
    json["model"] = identity_.model;
    return json;
  }

  Json WholeChoice(size_t index, const FinishedChoice& choice) const {
    Json message;
    message["role"] = "assistant";
    const bool only_calls = choice.all.text.empty() && !choice.calls.empty();
    message["content"] = only_calls ? Json(nullptr) : Json(choice.all.text);
    if (!choice.all.reasoning.empty()) message["reasoning_content"] = choice.all.reasoning;
    if (!choice.calls.empty()) {
      Json calls = Json::array();
      for (const ToolCallPiece& call : choice.calls) {
        calls.push_back({{"id", call.id},
                         {"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
      }
      message["tool_calls"] = std::move(calls);
    }
    Json json;
    json["index"] = index;
    json["message"] = std::move(message);
    json["logprobs"] = identity_.log_probabilities
                           ? ChatLogProbabilities(choice.all.tokens, *identity_.tokenizer)
                           : Json(nullptr);
    json["finish_reason"] = choice.finish_reason;
    return json;
  }

  static Json CallDeltas(const std::vector<ToolCallPiece>& calls) {
    Json deltas = Json::array();
    for (const ToolCallPiece& call : calls) {
      Json delta;
      delta["index"] = call.index;
      if (!call.name.empty()) {
        delta["id"] = call.id;
        delta["type"] = "function";
        delta["function"] = {{"name", call.name}, {"arguments", call.arguments}};
      } else {
        delta["function"] = {{"arguments", call.arguments}};
      }
      deltas.push_back(std::move(delta));
    }
    return deltas;
  }

  // The assistant's role, in a choice's first delta only.
  std::string Role(int64_t choice) {
    if (static_cast<size_t>(choice) >= begun_.size()) begun_.resize(static_cast<size_t>(choice) + 1, false);
    if (begun_[static_cast<size_t>(choice)]) return "";
    begun_[static_cast<size_t>(choice)] = true;
    return Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
  }

  std::string Chunk(int64_t index, Json delta, const Json& finish_reason,
                    const std::vector<ChosenToken>* tokens) const {
    Json choice;
    choice["index"] = index;
    choice["delta"] = std::move(delta);
    choice["logprobs"] = identity_.log_probabilities && tokens != nullptr
                             ? ChatLogProbabilities(*tokens, *identity_.tokenizer)
                             : Json(nullptr);
    choice["finish_reason"] = finish_reason;
    Json json = Common("chat.completion.chunk");
    json["choices"] = Json::array({std::move(choice)});
    return Event(json);
  }

  std::vector<bool> begun_;
};

}  // namespace

std::unique_ptr<AnswerWriter> ChatWriter(AnswerIdentity identity) {
  return std::make_unique<Chat>(std::move(identity));
}

}  // namespace hone
