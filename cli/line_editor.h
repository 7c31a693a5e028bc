// Reads lines from a terminal, with editing and a history of earlier lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hone {

class LineEditor {
 public:
  enum class Outcome { kLine, kInterrupted, kEnd };  // Enter, Ctrl-C, Ctrl-D on an empty line

  // Standard input and output are the terminal's.
  Outcome Read(std::string_view prompt, std::string& line);
  void Remember(std::string line);

 private:
  void Redraw() const;
  void Insert(std::string_view bytes);
  // Handles one key; true: the line is over, see outcome_.
  bool Press(unsigned char key);
  void Escape();
  void Recall(int step);

  std::string_view prompt_;
  std::string line_;
  size_t cursor_ = 0;  // bytes
  bool pasting_ = false;
  Outcome outcome_ = Outcome::kLine;
  std::vector<std::string> history_;
  size_t recalled_ = 0;  // index into history_; its size: the line being written
  std::string draft_;
};

// The next and previous place between two characters of `text`.
size_t NextCharacter(std::string_view text, size_t at);
size_t PreviousCharacter(std::string_view text, size_t at);

}  // namespace hone
