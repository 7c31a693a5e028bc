#include "language/serving/http/served_model.h"

#include <algorithm>
#include <array>

#include "language/serving/http/tool_call_parser.h"

namespace hone {

ServedModel::ServedModel(std::shared_ptr<ServingEngine> engine) : engine_(std::move(engine)) {
  const Model& model = engine_->model();
  tokenizer_ = std::shared_ptr<const Tokenizer>(engine_->shared_model(), &model.tokenizer());
  const std::string_view chat_template = model.chat_template();
  auto chat = ChatPrompt::Create(chat_template, tokenizer_, model.path());
  if (chat) {
    chat_ = std::move(*chat);
  } else {
    no_chat_ = chat.error();
  }
  thinks_ = chat_template.find("<think>") != chat_template.npos ||
            chat_template.find("</think>") != chat_template.npos;
  constraints_ = std::make_unique<AnswerConstraints>(tokenizer_, DetectToolSyntax(chat_template));
  const auto marks_call = [](std::string_view name) {
    return std::any_of(kToolCallMarkers.begin(), kToolCallMarkers.end(), [&](const ToolCallMarker& marker) {
      return name == marker.open || name == marker.close;
    });
  };
  for (TokenId id = 0; id < tokenizer_->vocabulary_size(); ++id) {
    if (!tokenizer_->IsControl(id)) continue;
    const std::string_view name = tokenizer_->TokenBytes(id);
    if (name == "<think>" || name == "</think>") thinking_markers_.push_back(id);
    if (!name.empty() && marks_call(name)) call_markers_.push_back(id);
  }
}

ApiResult<const ChatPrompt*> ServedModel::Chat() const {
  if (!chat_) return tl::unexpected(ApiError{400, no_chat_.message});
  return &*chat_;
}

const std::vector<TokenId>& ServedModel::ends() const {
  return chat_ ? chat_->ends() : tokenizer_->special().ends;
}

std::vector<TokenId> ServedModel::Markers(bool tools) const {
  std::vector<TokenId> markers;
  if (thinks_) markers = thinking_markers_;
  if (tools) markers.insert(markers.end(), call_markers_.begin(), call_markers_.end());
  std::sort(markers.begin(), markers.end());
  return markers;
}

// A template that opened the tag leaves it at the prompt's end.
ReasoningSplitter::Start ServedModel::ReasoningStart(const std::vector<TokenId>& prompt) const {
  if (!thinks_) return ReasoningSplitter::Start::kNever;
  constexpr size_t kTail = 8;
  const size_t begin = prompt.size() > kTail ? prompt.size() - kTail : 0;
  std::string tail = tokenizer_->Decode(std::span(prompt).subspan(begin), true);
  tail.erase(tail.find_last_not_of(" \t\r\n") + 1);
  return tail.ends_with("<think>") ? ReasoningSplitter::Start::kInside : ReasoningSplitter::Start::kMaybe;
}

}  // namespace hone
