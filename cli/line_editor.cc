#include "cli/line_editor.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace hone {
namespace {

constexpr unsigned char kControlA = 1, kControlC = 3, kControlD = 4, kControlE = 5, kBackspace = 8,
                        kControlK = 11, kControlU = 21, kControlW = 23, kEscape = 27, kDelete = 127;
constexpr std::string_view kPasteOn =
    "\x1b[?2004h";  // the terminal brackets what is pasted, so that its newlines are text
constexpr std::string_view kPasteOff = "\x1b[?2004l";

// Keys one by one and unechoed while it lives.
class RawTerminal {
 public:
  RawTerminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    fmt::print("{}", kPasteOn);
  }
  ~RawTerminal() {
    fmt::print("{}", kPasteOff);
    std::fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
};

bool ReadKey(unsigned char& key) { return read(STDIN_FILENO, &key, 1) == 1; }

size_t Columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

size_t Characters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i = NextCharacter(text, i)) ++count;
  return count;
}

}  // namespace

size_t NextCharacter(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  for (++at; at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;) ++at;
  return at;
}

size_t PreviousCharacter(std::string_view text, size_t at) {
  if (at == 0) return 0;
  for (--at; at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;) --at;
  return at;
}

void LineEditor::Remember(std::string line) {
  if (history_.empty() || history_.back() != line) history_.push_back(std::move(line));
}

void LineEditor::Redraw() const {
  // The part of the line around the cursor that fits; a newline in it is shown as a sign.
  const size_t room = std::max<size_t>(Columns() - std::min(Columns() - 1, Characters(prompt_) + 1), 8);
  size_t begin = cursor_;
  for (size_t shown = 0; begin > 0 && shown + 1 < room; ++shown) begin = PreviousCharacter(line_, begin);
  size_t end = begin;
  for (size_t shown = 0; end < line_.size() && shown + 1 < room; ++shown) end = NextCharacter(line_, end);
  std::string visible;
  for (const char c : line_.substr(begin, end - begin)) {
    if (c == '\n')
      visible += "\u23ce";
    else
      visible += c == '\t' ? ' ' : c;
  }
  const size_t left =
      Characters(prompt_) + Characters(std::string_view(line_).substr(begin, cursor_ - begin));
  fmt::print("\r{}{}\x1b[K\r", prompt_, visible);
  if (left > 0) fmt::print("\x1b[{}C", left);
  std::fflush(stdout);
}

void LineEditor::Insert(std::string_view bytes) {
  line_ = line_.substr(0, cursor_).append(bytes).append(line_, cursor_);
  cursor_ += bytes.size();
}

void LineEditor::Recall(int step) {
  const size_t next = recalled_ + static_cast<size_t>(step);
  if (next > history_.size()) return;  // also below zero
  if (recalled_ == history_.size()) draft_ = line_;
  recalled_ = next;
  line_ = recalled_ == history_.size() ? draft_ : history_[recalled_];
  cursor_ = line_.size();
}

void LineEditor::Escape() {
  unsigned char key = 0;
  if (!ReadKey(key) || (key != '[' && key != 'O') || !ReadKey(key)) return;
  std::string number;
  while ((key >= '0' && key <= '9') || key == ';') {
    number += static_cast<char>(key);
    if (!ReadKey(key)) return;
  }
  if (key == 'A') Recall(-1);
  if (key == 'B') Recall(1);
  if (key == 'C') cursor_ = NextCharacter(line_, cursor_);
  if (key == 'D') cursor_ = PreviousCharacter(line_, cursor_);
  if (key == 'H') cursor_ = 0;
  if (key == 'F') cursor_ = line_.size();
  if (key != '~') return;
  if (number == "1" || number == "7") cursor_ = 0;
  if (number == "4" || number == "8") cursor_ = line_.size();
  if (number == "3") line_.erase(cursor_, NextCharacter(line_, cursor_) - cursor_);
  if (number == "200") pasting_ = true;
  if (number == "201") pasting_ = false;
}

bool LineEditor::Press(unsigned char key) {
  if (key == kEscape) {
    Escape();
    return false;
  }
  if (key == '\r' || key == '\n') {
    if (pasting_) Insert("\n");
    return !pasting_;
  }
  if (key == '\t' || key > kDelete || (key >= ' ' && key < kDelete)) {
    const char byte = static_cast<char>(key);
    Insert({&byte, 1});
    return false;
  }
  switch (key) {
    case kControlC:
      outcome_ = Outcome::kInterrupted;
      return true;
    case kControlD:
      if (line_.empty()) {
        outcome_ = Outcome::kEnd;
        return true;
      }
      line_.erase(cursor_, NextCharacter(line_, cursor_) - cursor_);
      break;
    case kControlA:
      cursor_ = 0;
      break;
    case kControlE:
      cursor_ = line_.size();
      break;
    case kControlK:
      line_.erase(cursor_);
      break;
    case kControlU:
      line_.erase(0, cursor_);
      cursor_ = 0;
      break;
    case kControlW:
    case kBackspace:
    case kDelete: {
      size_t begin = PreviousCharacter(line_, cursor_);
      if (key == kControlW) {
        while (begin > 0 && line_[begin] == ' ') --begin;
        while (begin > 0 && line_[begin - 1] != ' ') --begin;
      }
      line_.erase(begin, cursor_ - begin);
      cursor_ = begin;
      break;
    }
    default:
      break;
  }
  return false;
}

LineEditor::Outcome LineEditor::Read(std::string_view prompt, std::string& line) {
  const RawTerminal terminal;
  prompt_ = prompt;
  line_.clear();
  cursor_ = 0;
  pasting_ = false;
  outcome_ = Outcome::kLine;
  recalled_ = history_.size();
  draft_.clear();
  Redraw();
  for (unsigned char key = 0;;) {
    if (!ReadKey(key)) {
      outcome_ = Outcome::kEnd;
      break;
    }
    if (Press(key)) break;
    // A character's later bytes and a paste's rest come at once: draw when they are all there.
    int waiting = 0;
    if (ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0) Redraw();
  }
  cursor_ = line_.size();
  Redraw();
  fmt::print("\n");
  line = line_;
  return outcome_;
}

}  // namespace hone
