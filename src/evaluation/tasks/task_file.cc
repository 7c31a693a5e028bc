// Task files in the manner of lm-evaluation-harness.
#include <nlohmann/json.hpp>

#include "core/base/mapped_file.h"
#include "core/formats/safetensors/json_file.h"
#include "evaluation/tasks/eval_task.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Line {
  const std::string& path;
  int64_t number;
  const Json& object;

  Result<const Json*> Member(const std::string& name) const {
    const auto found = object.find(name);
    if (found == object.end())
      return BadInput(path, fmt::format("line {}", number), "no member \"{}\"", name);
    return &*found;
  }
};

// The template with each {{name}} replaced by the line's member.
Result<std::string> Fill(const std::string& form, const Line& line) {
  std::string text;
  for (size_t at = 0; at < form.size();) {
    const size_t open = form.find("{{", at);
    text += form.substr(at, open - at);
    if (open == std::string::npos) break;
    const size_t close = form.find("}}", open);
    std::string name = close == std::string::npos ? "" : form.substr(open + 2, close - open - 2);
    const size_t first = name.find_first_not_of(' ');
    name = first == std::string::npos ? "" : name.substr(first, name.find_last_not_of(' ') - first + 1);
    if (name.empty() || name.find_first_of(" .|[]()'\"") != std::string::npos)
      return BadInput(line.path, "template", "\"{}\": {{{{{}}}}}, expected a member's name alone", form,
                      name);
    HONE_TRY(const Json* member, line.Member(name));
    text += member->is_string() ? member->get<std::string>() : member->dump();
    at = close + 2;
  }
  return text;
}

Result<std::vector<std::string>> Choices(const Json& form, const Line& line) {
  const Json* list = &form;
  if (form.is_string()) {
    HONE_TRY(list, line.Member(form.get<std::string>()));
  }
  std::vector<std::string> choices;
  if (list->is_array()) {
    for (const Json& choice : *list)
      choices.push_back(choice.is_string() ? choice.get<std::string>() : choice.dump());
  }
  if (choices.size() < 2)
    return BadInput(line.path, fmt::format("line {}", line.number), "{} choices, expected at least 2",
                    choices.size());
  return choices;
}

Result<EvalItem> ItemOf(const Json& form, EvalKind kind, const Line& line) {
  const std::string delimiter = form.value("target_delimiter", " ");
  EvalItem item;
  HONE_TRY(item.context, Fill(form.value("doc_to_text", ""), line));
  if (kind == EvalKind::kLikelihood) {
    HONE_TRY(const std::string target, Fill(form.value("doc_to_target", ""), line));
    item.choices = {delimiter + target};
    return item;
  }
  HONE_TRY(item.choices, Choices(form["doc_to_choice"], line));
  for (std::string& choice : item.choices) choice = delimiter + choice;
  HONE_TRY(const Json* gold, line.Member(form.value("doc_to_target", "")));
  const auto count = static_cast<int64_t>(item.choices.size());
  if (!gold->is_number_integer() || gold->get<int64_t>() < 0 || gold->get<int64_t>() >= count)
    return BadInput(line.path, fmt::format("line {}", line.number), "right choice {}, expected 0 to {}",
                    gold->dump(), count - 1);
  item.gold = gold->get<int>();
  return item;
}

}  // namespace

Result<EvalTask> ReadTaskFile(const std::string& path, int64_t items) {
  const std::string stem = path.substr(0, path.size() - std::string_view(".jsonl").size());
  const std::string form_path = stem + ".task.json";
  HONE_TRY(const Json form, ReadJsonObject(form_path));
  for (const char* field : {"doc_to_text", "doc_to_target"}) {
    if (!form.contains(field) || !form[field].is_string())
      return BadInput(form_path, field, "absent, expected a string");
  }
  const std::string output = form.value("output_type", "multiple_choice");
  if (output != "multiple_choice" && output != "loglikelihood")
    return BadInput(form_path, "output_type", "\"{}\", expected multiple_choice or loglikelihood", output);
  EvalTask task{.name = stem.substr(stem.rfind('/') + 1), .definition = path};
  task.kind = output == "multiple_choice" ? EvalKind::kChoice : EvalKind::kLikelihood;
  if (task.kind == EvalKind::kChoice && !form.contains("doc_to_choice"))
    return BadInput(form_path, "doc_to_choice", "absent, expected a member's name or a list");
  HONE_TRY(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  int64_t number = 0;
  for (size_t at = 0; at < text.size() && static_cast<int64_t>(task.items.size()) < items;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (part.find_first_not_of(" \r\t") == part.npos) continue;
    const Json object = Json::parse(part.begin(), part.end(), nullptr, /*allow_exceptions=*/false);
    if (!object.is_object())
      return BadInput(path, fmt::format("line {}", number), "found no JSON object, expected one");
    HONE_TRY(EvalItem item, ItemOf(form, task.kind, {path, number, object}));
    task.items.push_back(std::move(item));
  }
  if (task.items.empty()) return BadInput(path, "lines", "found none, expected JSON objects");
  return task;
}

}  // namespace hone
