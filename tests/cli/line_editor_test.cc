#include "cli/line_editor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace hone {
namespace {

constexpr std::string_view kUp = "\x1b[A", kDown = "\x1b[B", kRight = "\x1b[C", kLeft = "\x1b[D";
constexpr std::string_view kHome = "\x1b[H", kEnd = "\x1b[F", kDelete = "\x1b[3~";
constexpr std::string_view kPaste = "\x1b[200~", kPasteEnd = "\x1b[201~";

std::string Keys(std::initializer_list<std::string_view> keys) {
  std::string all;
  for (const std::string_view key : keys) all += key;
  return all;
}

// What a child on a pseudo terminal does: reads lines until the end and reports each, a byte for the outcome
// before it and a zero byte behind.
[[noreturn]] void ReadLines(int report) {
  LineEditor editor;
  for (;;) {
    std::string line;
    const LineEditor::Outcome outcome = editor.Read("> ", line);
    const char sign = outcome == LineEditor::Outcome::kLine  ? '='
                      : outcome == LineEditor::Outcome::kEnd ? '.'
                                                             : '!';
    const std::string text = sign + line + '\0';
    if (write(report, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(1);
    if (outcome == LineEditor::Outcome::kEnd) _exit(0);
    if (outcome == LineEditor::Outcome::kLine) editor.Remember(line);
  }
}

struct Typed {
  std::vector<std::string> lines;  // "=text" a line, "!text" interrupted, "." the end
  std::string screen;              // what the terminal was sent
};

// Types `keys` and Ctrl-D into a terminal that is `columns` wide.
Typed Type(const std::string& keys, unsigned short columns = 80) {
  int report[2];
  if (pipe(report) != 0) return {};
  const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) return {};
  if (child == 0) {
    close(report[0]);
    ReadLines(report[1]);
  }
  close(report[1]);
  Typed typed;
  // The editor has set the terminal up once its prompt is there.
  char buffer[4096];
  const auto receive = [&](int wait) {
    pollfd ready{.fd = terminal, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, wait) <= 0) return false;
    const ssize_t count = read(terminal, buffer, sizeof(buffer));
    if (count > 0) typed.screen.append(buffer, static_cast<size_t>(count));
    return count > 0;
  };
  while (typed.screen.find("> ") == std::string::npos && receive(10000)) {
  }
  // Line by line: a line's end changes the terminal's modes twice, and what is typed between is echoed.
  size_t at = 0;
  const std::string all = keys + '\x04';
  while (at < all.size()) {
    const size_t end = std::min(all.find('\r', at), all.size() - 1) + 1;
    if (write(terminal, all.data() + at, end - at) != static_cast<ssize_t>(end - at)) break;
    const size_t before = typed.screen.size();
    const bool more = end < all.size();
    while (more && typed.screen.find("\x1b[?2004h", before) == std::string::npos && receive(10000)) {
    }
    at = end;
  }
  while (receive(10000)) {
  }
  std::string lines;
  for (ssize_t count; (count = read(report[0], buffer, sizeof(buffer))) > 0;)
    lines.append(buffer, static_cast<size_t>(count));
  close(report[0]);
  close(terminal);
  waitpid(child, nullptr, 0);
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\0', begin), lines.size());
    typed.lines.push_back(lines.substr(begin, end - begin));
    begin = end + 1;
  }
  return typed;
}

using Lines = std::vector<std::string>;

TEST(LineEditor, GivesWhatIsTyped) {
  EXPECT_EQ(Type("hello world\r").lines, (Lines{"=hello world", "."}));
  EXPECT_EQ(Type("").lines, (Lines{"."}));
  EXPECT_EQ(Type("\r\r").lines, (Lines{"=", "=", "."}));
}

TEST(LineEditor, MovesAndErasesInTheMiddle) {
  EXPECT_EQ(Type(Keys({"bd", kLeft, "c", kHome, "a", kEnd, "e\r"})).lines, (Lines{"=abcde", "."}));
  EXPECT_EQ(Type("abc\x7f\x7f\x62\x08\x63\r").lines, (Lines{"=ac", "."}));
  EXPECT_EQ(Type(Keys({"abc", kHome, kDelete, kRight, kDelete, "\r"})).lines, (Lines{"=b", "."}));
  EXPECT_EQ(Type(Keys({"one two  three", "\x17", "x\r"})).lines, (Lines{"=one two  x", "."}));
  EXPECT_EQ(Type(Keys({"one two", kLeft, kLeft, kLeft, "\x0b\r"})).lines, (Lines{"=one ", "."}));
  EXPECT_EQ(Type(Keys({"one two", kLeft, kLeft, kLeft, "\x15\r"})).lines, (Lines{"=two", "."}));
  EXPECT_EQ(Type(Keys({"bc\x01", "a\x05", "d\r"})).lines, (Lines{"=abcd", "."}));
}

TEST(LineEditor, TakesKeysThatHaveNothingToDo) {
  EXPECT_EQ(Type(Keys({"\x7f", kLeft, kRight, kDelete, kUp, kDown, "\x17\x0b\x15\x1b[9~\x1b[1;5Ca\r"})).lines,
            (Lines{"=a", "."}));
}

TEST(LineEditor, KeepsCharactersOfSeveralBytesWhole) {
  EXPECT_EQ(Type(Keys({"gr\u00fc\u00dfe \U0001f389", kLeft, "\x7f\x7f!", kLeft, "\x7f\r"})).lines,
            (Lines{"=gr\u00fc!\U0001f389", "."}));
}

TEST(LineEditor, RecallsEarlierLinesAndKeepsTheDraft) {
  EXPECT_EQ(Type(Keys({"first\r", "second\r", kUp, kUp, kUp, "!\r"})).lines,
            (Lines{"=first", "=second", "=first!", "."}));
  EXPECT_EQ(Type(Keys({"first\r", "draft", kUp, kDown, kDown, "ed\r"})).lines,
            (Lines{"=first", "=drafted", "."}));
}

TEST(LineEditor, TakesPastedNewlinesAsText) {
  EXPECT_EQ(Type(Keys({kPaste, "a\nb\nc", kPasteEnd, "d\r"})).lines, (Lines{"=a\nb\ncd", "."}));
}

TEST(LineEditor, TellsInterruptsAndTheEndApart) {
  EXPECT_EQ(Type("abc\x03").lines, (Lines{"!abc", "."}));
  EXPECT_EQ(Type(Keys({"abc", kHome, "\x04\r"})).lines, (Lines{"=bc", "."})) << "Ctrl-D inside a line erases";
}

TEST(LineEditor, ShowsThePartAroundTheCursorOfALongLine) {
  const std::string text = std::string(60, 'a') + std::string(60, 'b');
  const Typed typed = Type(text + "\r", 40);
  EXPECT_EQ(typed.lines, (Lines{"=" + text, "."}));
  // No drawing is longer than the screen, so none wraps.
  for (size_t at = 0; (at = typed.screen.find("> ", at)) != std::string::npos;) {
    const size_t end = typed.screen.find("\x1b[K", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LT(end - at, 40u);
    at = end;
  }
  EXPECT_NE(typed.screen.find(std::string(30, 'b')), std::string::npos);
}

TEST(LineEditor, LeavesTheTerminalAsItWas) {
  const Typed typed = Type("x\r");
  EXPECT_NE(typed.screen.find("\x1b[?2004h"), std::string::npos);
  EXPECT_GT(typed.screen.rfind("\x1b[?2004l"), typed.screen.rfind("\x1b[?2004h"));
}

}  // namespace
}  // namespace hone
