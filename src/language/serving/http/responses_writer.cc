// The form of /v1/responses: one message of plain text.
#include <nlohmann/json.hpp>

#include "language/serving/http/answer_json.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

class Responses : public IdentifiedWriter {
 public:
  using IdentifiedWriter::IdentifiedWriter;

  std::string Whole(const std::vector<FinishedChoice>& choices) override {
    return Dump(Response(&choices.front()));
  }

  std::string Begin() override {
    std::string events = Typed("response.created", {{"response", Response(nullptr)}});
    events += Typed("response.in_progress", {{"response", Response(nullptr)}});
    events += Typed("response.output_item.added", {{"output_index", 0}, {"item", Item(nullptr)}});
    events += Typed("response.content_part.added", Place({{"part", Part("")}}));
    return events;
  }
  std::string Piece(int64_t, const AnswerPiece& piece) override {
    if (piece.text.empty()) return "";
    return Typed("response.output_text.delta", Place({{"delta", piece.text}, {"logprobs", Json::array()}}));
  }
  std::string End(int64_t, const FinishedChoice& finished) override {
    const std::string& text = finished.all.text;
    std::string events =
        Typed("response.output_text.done", Place({{"text", text}, {"logprobs", Json::array()}}));
    events += Typed("response.content_part.done", Place({{"part", Part(text)}}));
    events += Typed("response.output_item.done", {{"output_index", 0}, {"item", Item(&finished)}});
    return events;
  }
  std::string Close(const std::vector<FinishedChoice>& choices) override {
    const FinishedChoice& choice = choices.front();
    const char* type = choice.finish_reason == "length" ? "response.incomplete" : "response.completed";
    return Typed(type, {{"response", Response(&choice)}});
  }

 private:
  std::string Typed(const char* type, Json fields) {
    Json event;
    event["type"] = type;
    event["sequence_number"] = sequence_++;
    event.update(fields);
    return fmt::format("event: {}\n", type) + Event(event);
  }
  std::string ItemId() const { return "msg_" + identity_.id; }
  Json Place(Json fields) const {
    Json place{{"item_id", ItemId()}, {"output_index", 0}, {"content_index", 0}};
    place.update(fields);
    return place;
  }
  static Json Part(const std::string& text) {
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }
  Json Item(const FinishedChoice* choice) const {
    Json item{{"id", ItemId()}, {"type", "message"}, {"role", "assistant"}};
    const bool complete = choice != nullptr && choice->finish_reason != "length";
    item["status"] = choice == nullptr ? "in_progress" : complete ? "completed" : "incomplete";
    item["content"] = Json::array();
    if (choice != nullptr) item["content"].push_back(Part(choice->all.text));
    return item;
  }
  Json Response(const FinishedChoice* choice) const {
    Json response;
    response["id"] = identity_.id;
    response["object"] = "response";
    response["created_at"] = identity_.created;
    const bool cut = choice != nullptr && choice->finish_reason == "length";
    response["status"] = choice == nullptr ? "in_progress" : cut ? "incomplete" : "completed";
    response["error"] = nullptr;
    response["incomplete_details"] = cut ? Json{{"reason", "max_output_tokens"}} : Json(nullptr);
    response["model"] = identity_.model;
    response["output"] = Json::array();
    if (choice != nullptr) response["output"].push_back(Item(choice));
    response["parallel_tool_calls"] = false;
    response["tool_choice"] = "none";
    response["tools"] = Json::array();
    if (choice != nullptr) {
      response["usage"] = {{"input_tokens", choice->prompt_tokens},
                           {"input_tokens_details", {{"cached_tokens", choice->cached_tokens}}},
                           {"output_tokens", choice->answer_tokens},
                           {"output_tokens_details", {{"reasoning_tokens", choice->reasoning_tokens}}},
                           {"total_tokens", choice->prompt_tokens + choice->answer_tokens}};
    }
    return response;
  }

  int64_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> ResponsesWriter(AnswerIdentity identity) {
  return std::make_unique<Responses>(std::move(identity));
}

}  // namespace hone
