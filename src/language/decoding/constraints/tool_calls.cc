#include "language/decoding/constraints/tool_calls.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "core/base/printable.h"
#include "language/decoding/constraints/json_schema.h"
#include "language/decoding/constraints/token_table.h"

namespace hone {
namespace {

class ToolGrammar {
 public:
  ToolGrammar(std::span<const ToolDeclaration> tools, const ToolCallOptions& options, const TokenTable* table)
      : tools_(tools), options_(options), table_(table) {}

  Result<Constraint> Compile() {
    HONE_TRY(const Symbol call, AnyCall());
    Constraint constraint;
    Symbol root = call;
    switch (options_.syntax) {
      case ToolSyntax::kHermes:
        root = Hermes(call, constraint);
        break;
      case ToolSyntax::kLlama3:
        constraint.triggers = {{Marker("<|python_tag|>"), false, true},
                               {std::string(kBareCall), true, false}};
        break;
      case ToolSyntax::kMistral:
        root = Mistral(call, constraint);
        break;
      case ToolSyntax::kPlainJson:
        constraint.triggers = {{std::string(kBareCall), true, false}};
        if (!options_.parallel) break;
        constraint.triggers.push_back({std::string(kBareList), true, false});
        root = builder_.Choice({call, List(call)});
        break;
    }
    if (options_.choice != ToolChoice::kAuto) constraint.triggers.clear();
    HONE_TRY(constraint.grammar, builder_.Finish(root, "tools"));
    return constraint;
  }

 private:
  bool lazy() const { return options_.choice == ToolChoice::kAuto; }

  std::string Marker(std::string_view name) const { return MarkerText(name, table_); }

  Symbol Line() { return builder_.Optional(builder_.Literal("\n")); }

  Symbol List(Symbol call) {
    const Symbol more = builder_.Sequence({builder_.Literal(","), json_.Space(), call});
    return builder_.Sequence({builder_.Literal("["), call,
                              options_.parallel ? builder_.Repeat(more, 0, kUnbounded) : builder_.Empty(),
                              json_.Space(), builder_.Literal("]")});
  }

  Symbol Hermes(Symbol call, Constraint& constraint) {
    const std::string begin = Marker("<tool_call>");
    const Symbol inside = builder_.Sequence({Line(), call, Line(), builder_.Literal(Marker("</tool_call>"))});
    const Symbol whole = builder_.Sequence({builder_.Literal(begin), inside});
    const Symbol more = options_.parallel ? builder_.Repeat(builder_.Sequence({Line(), whole}), 0, kUnbounded)
                                          : builder_.Empty();
    constraint.triggers = {{begin, false, true}, {std::string(kBareCall), true, false}};
    const Symbol calls = builder_.Sequence({lazy() ? inside : whole, more});
    return lazy() ? builder_.Choice({calls, call}) : calls;
  }

  Symbol Mistral(Symbol call, Constraint& constraint) {
    const std::string begin = Marker("[TOOL_CALLS]");
    const Symbol inside = builder_.Sequence({builder_.Optional(builder_.Literal(" ")), List(call)});
    constraint.triggers = {
        {begin, false, true}, {std::string(kBareList), true, false}, {std::string(kBareCall), true, false}};
    return lazy() ? builder_.Choice({inside, call}) : builder_.Sequence({builder_.Literal(begin), inside});
  }

  Result<Symbol> AnyCall() {
    std::vector<Symbol> calls;
    for (const ToolDeclaration& tool : tools_) {
      if (options_.choice == ToolChoice::kNamed && tool.name != options_.name) continue;
      HONE_TRY(calls.emplace_back(builder_.Empty()), Call(tool));
    }
    return builder_.Choice(std::move(calls));
  }

  Result<Symbol> Call(const ToolDeclaration& tool) {
    static const Json kObject = Json{{"type", "object"}};
    static const Json kAnything = true;
    const auto named = [&](Error error) {
      error.message = fmt::format("tool \"{}\": {}", Printable(tool.name), error.message);
      return tl::unexpected(std::move(error));
    };
    const Json& schema = !tool.parameters || tool.parameters->is_null() ? kAnything : *tool.parameters;
    if (!schema.is_object() && !schema.is_boolean()) {
      return named(BadInput("JSON schema", "#", "found {}, expected a schema (an object)", schema.type_name())
                       .value());
    }
    const SchemaDocument& document = documents_.emplace_back(schema);
    SchemaCompiler compiler(document, builder_);
    const auto arguments = compiler.Compile({document.root(), Schema{&kObject, "#"}});
    if (!arguments) return named(arguments.error());
    GrammarBuilder alone = builder_;
    if (const auto some = alone.Finish(*arguments, "JSON schema"); !some) return named(some.error());
    const std::string key = options_.syntax == ToolSyntax::kLlama3 ? "\"parameters\"" : "\"arguments\"";
    const Symbol comma = builder_.Sequence({builder_.Literal(","), json_.Space()});
    return builder_.Sequence({builder_.Literal("{"),
                              json_.Pair(builder_.Literal("\"name\""), builder_.Literal(JsonText(tool.name))),
                              comma, json_.Pair(builder_.Literal(key), *arguments), json_.Space(),
                              builder_.Literal("}")});
  }

  std::span<const ToolDeclaration> tools_;
  const ToolCallOptions& options_;
  const TokenTable* table_;
  GrammarBuilder builder_;
  JsonGrammar json_{builder_};
  std::deque<SchemaDocument> documents_;
};

}  // namespace

std::optional<ToolSyntax> DetectToolSyntax(std::string_view chat_template) {
  const auto has = [&](std::string_view text) { return chat_template.find(text) != chat_template.npos; };
  if (has("<tool_call>")) return ToolSyntax::kHermes;
  if (has("[TOOL_CALLS]")) return ToolSyntax::kMistral;
  if (has("<|python_tag|>")) return ToolSyntax::kLlama3;
  if (has("tools")) return ToolSyntax::kPlainJson;
  return std::nullopt;
}

Result<std::optional<Constraint>> ToolCallGrammar(std::span<const ToolDeclaration> tools,
                                                  const ToolCallOptions& options, const TokenTable* table) {
  if (options.choice == ToolChoice::kNone) return std::optional<Constraint>();
  if (tools.empty()) {
    if (options.choice == ToolChoice::kAuto) return std::optional<Constraint>();
    return WrongUsage("tool_choice: found a choice without tools, expected at least one tool");
  }
  std::vector<std::string_view> names;
  for (const ToolDeclaration& tool : tools) names.push_back(tool.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    return WrongUsage("tools: \"{}\" is declared twice", Printable(*twice));
  }
  if (options.choice == ToolChoice::kNamed && !std::binary_search(names.begin(), names.end(), options.name)) {
    return WrongUsage("tool_choice: found \"{}\", expected one of the declared tools",
                      Printable(options.name));
  }
  HONE_TRY(Constraint constraint, ToolGrammar(tools, options, table).Compile());
  return std::optional<Constraint>(std::move(constraint));
}

}  // namespace hone
