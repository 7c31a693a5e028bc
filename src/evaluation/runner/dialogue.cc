#include "evaluation/runner/dialogue.h"

#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include "language/decoding/chat_prompt.h"
#include "language/decoding/long_rope.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

constexpr size_t kTogether = 8;  // dialogues that are answered side by side

// One dialogue under way.
struct Dialogue {
  const EvalItem* item = nullptr;
  std::vector<ChatMessage> messages;
  std::vector<LikelihoodRequest> answers;
};

class Speaker {
 public:
  explicit Speaker(const Reader& reader)
      : reader_(reader),
        tokenizer_(reader.runner.model().tokenizer()),
        chat_(ChatPrompt::Create(reader.runner.model().chat_template(),
                                 std::shared_ptr<const Tokenizer>(std::shared_ptr<void>(), &tokenizer_),
                                 reader.runner.model().path())),
        ends_(chat_ ? chat_->ends() : tokenizer_.special().ends) {}

  Result<void> AnswerTurn(std::span<Dialogue> dialogues, size_t turn) {
    std::deque<Sequence> sequences;
    std::vector<Dialogue*> asked;
    for (Dialogue& dialogue : dialogues) {
      if (turn >= dialogue.item->choices.size()) continue;
      dialogue.messages.push_back({"user", dialogue.item->choices[turn]});
      HONE_TRY(std::vector<TokenId> prompt, Encode(dialogue.messages));
      HONE_TRY(Sequence sequence, Begin(std::move(prompt)));
      sequences.push_back(std::move(sequence));
      asked.push_back(&dialogue);
    }
    for (Sequence& sequence : sequences) HONE_CHECK_OK(ReadPrompt(sequence));
    while (true) {
      Batch batch;
      std::vector<Sequence*> speaking;
      for (Sequence& sequence : sequences) {
        if (Ended(sequence)) continue;
        const auto size = static_cast<int64_t>(sequence.tokens.size());
        AppendRows(sequence, size - 1, size, true, false, batch);
        speaking.push_back(&sequence);
      }
      if (speaking.empty()) break;
      HONE_CHECK_OK(reader_.runner.Run(batch, [&](int64_t row, std::span<float> logits) {
        speaking[static_cast<size_t>(row)]->tokens.push_back(Likeliest(logits));
      }));
    }
    for (size_t i = 0; i < asked.size(); ++i) Keep(sequences[i], *asked[i]);
    return {};
  }

 private:
  Result<std::vector<TokenId>> Encode(const std::vector<ChatMessage>& messages) const {
    if (chat_) {
      HONE_TRY(Encoding encoding, chat_->Encode(messages));
      return std::move(encoding.tokens);
    }
    std::string text;
    for (const ChatMessage& message : messages)
      text +=
          (message.role == "user" ? "Question: " + message.content + "\nAnswer:" : message.content + "\n");
    std::vector<TokenId> tokens = EncodePrompt(tokenizer_, text).tokens;
    if (tokens.empty()) return WrongUsage("dialogue: a turn without tokens");
    return tokens;
  }

  Result<Sequence> Begin(std::vector<TokenId> prompt) const {
    const auto limit = static_cast<size_t>(reader_.runner.model().config().context);
    const size_t room = limit > 2 * kAnswerTokens ? limit - kAnswerTokens : limit / 2;
    if (prompt.size() > room)
      prompt.erase(prompt.begin(), prompt.begin() + static_cast<int64_t>(prompt.size() - room));
    Sequence sequence{.cache = reader_.MakeCache()};
    sequence.prompt_tokens = static_cast<int64_t>(prompt.size());
    sequence.tokens = std::move(prompt);
    HONE_CHECK_OK(
        ChooseRopeFactors(reader_.runner.model().config(), sequence.prompt_tokens + kAnswerTokens, sequence));
    return sequence;
  }

  Result<void> ReadPrompt(Sequence& sequence) {
    const int64_t rows = reader_.runner.options().max_rows;
    for (int64_t begin = 0; begin < sequence.prompt_tokens; begin += rows) {
      const int64_t end = std::min(sequence.prompt_tokens, begin + rows);
      Batch batch;
      AppendRows(sequence, begin, end, end == sequence.prompt_tokens, false, batch);
      HONE_CHECK_OK(reader_.runner.Run(
          batch, [&](int64_t, std::span<float> logits) { sequence.tokens.push_back(Likeliest(logits)); }));
    }
    return {};
  }

  static TokenId Likeliest(std::span<const float> logits) {
    return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
  }

  bool Ended(const Sequence& sequence) const {
    return static_cast<int64_t>(sequence.tokens.size()) >= sequence.prompt_tokens + kAnswerTokens ||
           std::ranges::binary_search(ends_, sequence.tokens.back());
  }

  void Keep(const Sequence& sequence, Dialogue& dialogue) const {
    const auto answer = sequence.tokens.begin() + sequence.prompt_tokens;
    dialogue.answers.push_back({{sequence.tokens.begin(), answer}, {answer, sequence.tokens.end()}});
    std::vector<TokenId> said(answer, sequence.tokens.end());
    if (std::ranges::binary_search(ends_, said.back())) said.pop_back();
    dialogue.messages.push_back({"assistant", tokenizer_.Decode(said, false)});
  }

  const Reader& reader_;
  const Tokenizer& tokenizer_;
  Result<ChatPrompt> chat_;
  std::vector<TokenId> ends_;
};

}  // namespace

Result<std::vector<LikelihoodRequest>> AnswerDialogues(const Reader& reader, const EvalTask& task,
                                                       const LikelihoodOptions& options) {
  Speaker speaker(reader);
  std::vector<Dialogue> dialogues;
  size_t turns = 0;
  for (const EvalItem& item : task.items) {
    dialogues.push_back({&item, {}, {}});
    turns = std::max(turns, item.choices.size());
  }
  std::vector<LikelihoodRequest> answers;
  for (size_t begin = 0; begin < dialogues.size(); begin += kTogether) {
    const auto some = std::span(dialogues).subspan(begin, std::min(kTogether, dialogues.size() - begin));
    for (size_t turn = 0; turn < turns; ++turn) {
      HONE_CHECK_OK(speaker.AnswerTurn(some, turn));
      if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed))
        return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted in a dialogue"});
    }
    for (Dialogue& dialogue : some) std::ranges::move(dialogue.answers, std::back_inserter(answers));
    if (options.progress)
      options.progress(static_cast<int64_t>(begin + some.size()), static_cast<int64_t>(dialogues.size()));
  }
  return answers;
}

double RepetitionRate(std::span<const TokenId> tokens) {
  constexpr size_t kRun = 4;
  if (tokens.size() <= kRun) return 0.0;
  std::set<std::array<TokenId, kRun>> seen;
  const size_t runs = tokens.size() - kRun + 1;
  for (size_t i = 0; i < runs; ++i) seen.insert({tokens[i], tokens[i + 1], tokens[i + 2], tokens[i + 3]});
  return 1.0 - static_cast<double>(seen.size()) / static_cast<double>(runs);
}

}  // namespace hone
