// Tells a model's thinking, which stands between <think> and </think>, from its answer, piece by piece.
#pragma once

#include <string>
#include <string_view>

namespace hone {

class ReasoningSplitter {
 public:
  enum class Start { kNever, kMaybe, kInside };

  // kNever: all is answer. kMaybe: the text may begin with <think>. kInside: the prompt opened the tag.
  explicit ReasoningSplitter(Start start)
      : state_(start == Start::kNever    ? State::kAnswer
               : start == Start::kInside ? State::kThinking
                                         : State::kStart) {}

  // Appends what the piece adds to either; bytes that may belong to a tag are held back.
  void Feed(std::string_view piece, std::string& reasoning, std::string& answer);
  void Finish(std::string& reasoning, std::string& answer);
  bool thinking() const { return state_ == State::kThinking; }

 private:
  enum class State { kStart, kThinking, kBetween, kAnswer };
  bool Step(std::string& reasoning, std::string& answer);

  State state_;
  std::string held_;
  bool thought_ = false;  // some reasoning has come: its leading line break is gone
};

}  // namespace hone
