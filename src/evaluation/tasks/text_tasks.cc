// Tasks that are cut out of a text.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "core/base/random.h"
#include "evaluation/tasks/eval_task.h"
#include "training/text/retrieval_text.h"
#include "training/text/token_mixture.h"

namespace hone {
namespace {

constexpr size_t kPieceCharacters = 1200;
constexpr size_t kContextCharacters = 400;
constexpr int64_t kFewestItems = 4;
constexpr int kChoices = 4;
constexpr uint32_t kOrderUse = 0xE7A50001;
constexpr uint32_t kGoldUse = 0xE7A50002;

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

struct Sentence {
  std::string_view before;  // what comes before it, at most kContextCharacters, begun at a space
  std::string_view text;    // ends with a full stop
};

bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

// Sentences of 60 to 300 characters that begin with a capital and end in a word of letters and a full stop.
std::vector<Sentence> SentencesOf(std::string_view text) {
  std::vector<Sentence> sentences;
  size_t begin = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    const bool ends = text[i] == '.' && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n');
    if (!ends && text[i] != '\n') continue;
    while (begin < i && (text[begin] == ' ' || text[begin] == '\n')) ++begin;
    const std::string_view sentence = text.substr(begin, i + 1 - begin);
    size_t last = sentence.size() - 1;  // wikitext writes a space before the full stop
    while (last > 0 && sentence[last - 1] == ' ') --last;
    if (ends && sentence.size() >= 60 && sentence.size() <= 300 && begin > kContextCharacters && last > 0 &&
        std::isupper(static_cast<unsigned char>(sentence[0])) != 0 && IsLetter(sentence[last - 1])) {
      size_t from = begin - kContextCharacters;
      while (from < begin && text[from] != ' ') ++from;
      sentences.push_back({text.substr(from, begin - from), sentence});
    }
    begin = i + 1;
  }
  return sentences;
}

// `wanted` of `count` places, spread by the seed.
std::vector<size_t> Draw(size_t count, int64_t wanted, uint64_t seed) {
  std::vector<size_t> places;
  const auto taken = std::min(static_cast<size_t>(wanted), count);
  for (size_t i = 0; i < taken; ++i) places.push_back(static_cast<size_t>(ShuffledIndex(i, count, seed)));
  std::ranges::sort(places);
  return places;
}

Result<void> CheckEnough(const TaskSource& source, size_t found, std::string_view what) {
  if (static_cast<int64_t>(found) >= kFewestItems) return {};
  return BadInput(source.name, what, "found {}, expected at least {}", found, kFewestItems);
}

}  // namespace

Result<EvalTask> MakePerplexityTask(const TaskSource& source) {
  EvalTask task{
      .name = "perplexity",
      .definition =
          "pieces of some 1,200 characters, each after BOS (EOS where there is none), every token scored",
      .kind = EvalKind::kLikelihood};
  std::vector<std::string> pieces(1);
  for (const std::string_view line : LinesOf(source.text)) {
    if (!pieces.back().empty() && pieces.back().size() + line.size() > kPieceCharacters)
      pieces.emplace_back();
    if (line.size() <= 2 * kPieceCharacters) pieces.back() += line;
  }
  std::erase_if(pieces, [](const std::string& piece) { return piece.size() < kPieceCharacters / 2; });
  HONE_CHECK_OK(CheckEnough(source, pieces.size(), "pieces of 1,200 characters"));
  for (const size_t place : Draw(pieces.size(), source.items, source.seed))
    task.items.push_back({"", {pieces[place]}});
  return task;
}

Result<EvalTask> MakeClozeTask(const TaskSource& source) {
  EvalTask task{.name = "cloze",
                .definition = "last word of a sentence after some 400 characters, by greedy decoding",
                .kind = EvalKind::kExact};
  std::vector<EvalItem> items;
  for (const Sentence& sentence : SentencesOf(source.text)) {
    size_t end = sentence.text.size() - 1;
    while (end > 0 && sentence.text[end - 1] == ' ') --end;
    size_t begin = end;
    while (begin > 0 && IsLetter(sentence.text[begin - 1])) --begin;
    if (end - begin < 4 || begin == 0 || sentence.text[begin - 1] != ' ') continue;
    items.push_back({std::string(sentence.before) + std::string(sentence.text.substr(0, begin - 1)),
                     {std::string(sentence.text.substr(begin - 1, end - begin + 1))}});
  }
  HONE_CHECK_OK(CheckEnough(source, items.size(), "sentences"));
  for (const size_t place : Draw(items.size(), source.items, source.seed)) task.items.push_back(items[place]);
  return task;
}

Result<EvalTask> MakeChoiceTask(const TaskSource& source) {
  EvalTask task{
      .name = "choice",
      .definition = "second half of a sentence among three of other places of like length, by likelihood",
      .kind = EvalKind::kChoice};
  struct Halves {
    std::string context, rest;
  };
  std::vector<Halves> all;
  for (const Sentence& sentence : SentencesOf(source.text)) {
    const size_t space = sentence.text.find(' ', sentence.text.size() / 2);
    if (space == std::string_view::npos || space + 12 > sentence.text.size()) continue;
    all.push_back({std::string(sentence.before) + std::string(sentence.text.substr(0, space)),
                   std::string(sentence.text.substr(space))});
  }
  HONE_CHECK_OK(CheckEnough(source, all.size() / kChoices, "groups of four sentences"));
  std::vector<size_t> by_length(all.size());
  for (size_t i = 0; i < all.size(); ++i) by_length[i] = i;
  std::ranges::stable_sort(by_length, {}, [&](size_t i) { return all[i].rest.size(); });
  for (const size_t place : Draw(all.size() / kChoices, source.items, source.seed)) {
    // Neighbours by length are each other's wrong choices; which of them is asked is drawn, where it stands
    // too.
    const size_t* group = &by_length[place * kChoices];
    const auto words = RandomWords(source.seed, place, kGoldUse);
    const size_t asked = words[0] % kChoices;
    EvalItem item{all[group[asked]].context, {}, static_cast<int>(words[1] % kChoices)};
    for (size_t i = 0; i < kChoices; ++i) item.choices.push_back(all[group[i]].rest);
    std::swap(item.choices[asked], item.choices[static_cast<size_t>(item.gold)]);
    task.items.push_back(std::move(item));
  }
  return task;
}

Result<EvalTask> MakeArithmeticTask(const TaskSource& source) {
  EvalTask task{.name = "arithmetic",
                .definition = "gold solution of a GSM8K problem after its question",
                .kind = EvalKind::kLikelihood};
  std::vector<std::string_view> lines = LinesOf(source.text);
  std::erase_if(lines, [](std::string_view line) { return line.find_first_not_of(" \n\r") == line.npos; });
  HONE_CHECK_OK(CheckEnough(source, lines.size(), "lines"));
  for (const size_t place : Draw(lines.size(), source.items, source.seed)) {
    const auto json =
        nlohmann::json::parse(lines[place].begin(), lines[place].end(), nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* name) {
      return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>()
                                                                               : "";
    };
    if (text("question").empty() || text("answer").empty())
      return BadInput(source.name, fmt::format("problem {}", place + 1),
                      "no question and answer, expected both");
    task.items.push_back({text("question"), {fmt::format("\n{}", text("answer"))}});
  }
  return task;
}

EvalTask MakeRetrievalTask(int64_t lines, int64_t items, uint64_t seed) {
  EvalTask task{
      .name = fmt::format("lines{}", lines),
      .definition = fmt::format("value of one of {} records after all of them, by greedy decoding", lines),
      .kind = EvalKind::kExact};
  for (int64_t i = 0; i < items; ++i) {
    const RetrievalCase one = MakeRetrievalCase(seed, static_cast<uint64_t>(i), lines);
    task.items.push_back({one.records + one.question, {one.answer + ">"}});
  }
  return task;
}

}  // namespace hone
