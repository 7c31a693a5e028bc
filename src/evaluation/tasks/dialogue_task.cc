// Two-turn questions.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "evaluation/tasks/eval_task.h"

namespace hone {
namespace {

constexpr std::array<std::array<const char*, 2>, 16> kDialogues = {{
    {"Explain in simple words why the sky is blue.", "Now say the same in one sentence for a child."},
    {"Give three reasons to learn a second language.",
     "Which of them matters most for a traveller, and why?"},
    {"Write a short letter to a neighbour about a lost cat.", "Make the letter more formal."},
    {"What is the difference between a virus and a bacterium?",
     "Why do antibiotics help against only one of them?"},
    {"Suggest a plan for a day in the mountains.", "Change the plan for a day of rain."},
    {"A shop sells pens at 3 for 2 euros. What do 12 pens cost?",
     "And how many pens can be bought for 10 euros?"},
    {"Name the planets of the solar system in order.", "Which of them have rings?"},
    {"Describe how bread is made.", "What happens if the yeast is left out?"},
    {"Summarize the story of Romeo and Juliet.", "How would it end if the letter had arrived in time?"},
    {"Write a function in Python that adds the numbers of a list.", "What does it return for an empty list?"},
    {"What should one check before buying a used bicycle?", "Which of these checks takes the longest?"},
    {"Why do leaves change their colour in autumn?", "Do all trees lose their leaves?"},
    {"Give advice to someone who sleeps badly.", "Shorten it to two points."},
    {"Tom is older than Ann, and Ann is older than Ben. Who is the youngest?",
     "If Carl is younger than Ben, who is the second youngest?"},
    {"What is a democracy?", "Name one weakness of it."},
    {"Invent a title and the first sentence of a story about a lighthouse.", "Write the second sentence."},
}};

}  // namespace

Result<EvalTask> MakeDialogueTask(const TaskSource& source) {
  EvalTask task{.name = "dialogue",
                .definition = "greedy answers to two-turn questions: how likely the reference finds them",
                .kind = EvalKind::kDialogue};
  if (source.text.empty()) {
    for (const auto& turns : kDialogues) {
      if (static_cast<int64_t>(task.items.size()) < source.items)
        task.items.push_back({"", {turns.begin(), turns.end()}});
    }
    return task;
  }
  int64_t number = 0;
  for (size_t at = 0; at < source.text.size() && static_cast<int64_t>(task.items.size()) < source.items;) {
    const size_t end = std::min(source.text.find('\n', at), source.text.size());
    const std::string_view line = source.text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \r\t") == line.npos) continue;
    const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    EvalItem item;
    if (json.is_object() && json.contains("turns") && json["turns"].is_array()) {
      for (const auto& turn : json["turns"])
        item.choices.push_back(turn.is_string() ? turn.get<std::string>() : "");
    }
    if (item.choices.empty() || std::ranges::find(item.choices, "") != item.choices.end())
      return BadInput(source.name, fmt::format("line {}", number),
                      "no list of texts \"turns\", expected one");
    task.items.push_back(std::move(item));
  }
  if (task.items.empty())
    return BadInput(source.name, "lines", "found none, expected JSON objects with \"turns\"");
  return task;
}

}  // namespace hone
