#include "core/formats/template/globals.h"

#include <array>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

namespace {

constexpr int64_t kMaximumRange = 100'000;  // the sandbox's limit

struct Function : CallableObject {
  Value (*function)(Evaluator& evaluator, Arguments& arguments) = nullptr;
  Value Call(Evaluator& evaluator, Arguments& arguments) override { return function(evaluator, arguments); }
};

Value Range(Evaluator&, Arguments& arguments) {
  if (!arguments.named.empty()) Fail("range() takes no keyword arguments");
  const size_t count = arguments.positional.size();
  if (count < 1 || count > 3) Fail("range expected 1 to 3 arguments, got {}", count);
  auto range = std::make_shared<RangeObject>();
  if (count > 1) range->start = IntegerOr(arguments.positional[0], 0, "range");
  range->stop = IntegerOr(arguments.positional[count > 1 ? 1 : 0], 0, "range");
  if (count > 2) range->step = IntegerOr(arguments.positional[2], 1, "range");
  if (range->step == 0) Fail("range() arg 3 must not be zero");
  if (range->size() > kMaximumRange) {
    Fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaximumRange);
  }
  return Value::Of(Kind::kRange, std::move(range));
}

// The entries of dict(...) and namespace(...): one mapping or list of pairs, then named ones.
std::shared_ptr<DictObject> MakeDict(Evaluator& evaluator, Arguments& arguments, std::string_view function) {
  auto dict = std::make_shared<DictObject>();
  if (arguments.positional.size() > 1) Fail("{}() takes at most 1 positional argument", function);
  for (const Value& source : arguments.positional) {
    if (source.Is(Kind::kDict)) {
      for (const auto& [key, value] : source.As<DictObject>().entries) dict->Set(key, value);
      evaluator.Charge(static_cast<int64_t>(dict->entries.size()));
      continue;
    }
    for (const Value& entry : ToList(evaluator, source)) {
      const Values pair = ToList(evaluator, entry);
      if (pair.size() != 2)
        Fail("dictionary update sequence element has length {}; 2 is required", pair.size());
      dict->Set(pair[0], pair[1]);
    }
  }
  for (auto& [name, value] : arguments.named) dict->Set(Value::String(name, false), std::move(value));
  return dict;
}

Value Dict(Evaluator& evaluator, Arguments& arguments) {
  return Value::Of(Kind::kDict, MakeDict(evaluator, arguments, "dict"));
}

Value Namespace(Evaluator& evaluator, Arguments& arguments) {
  const auto entries = MakeDict(evaluator, arguments, "namespace");
  auto space = evaluator.MakeNamespace();
  for (auto& [name, value] : entries->entries) {
    space->attributes.emplace_back(ToText(evaluator, name).bytes(), std::move(value));
  }
  return Value::Of(Kind::kNamespace, std::move(space));
}

struct CyclerObject;

// cycler.next and cycler.reset, which change the cycler.
struct CyclerMethod : CallableObject {
  std::shared_ptr<Object> cycler;
  bool resets = false;
  Value Call(Evaluator& evaluator, Arguments& arguments) override;
};

struct CyclerObject : CallableObject, std::enable_shared_from_this<CyclerObject> {
  Values items;
  size_t at = 0;
  Value Call(Evaluator&, Arguments&) override { Fail("'Cycler' object is not callable"); }
  Value Attribute(std::string_view attribute) override {
    if (attribute == "current") return items[at];
    if (attribute != "next" && attribute != "reset") return {};
    auto method = std::make_shared<CyclerMethod>();
    method->name = std::string(attribute);
    method->nesting = nesting + 1;
    method->cycler = shared_from_this();
    method->resets = attribute == "reset";
    return Value::Of(Kind::kCallable, std::move(method));
  }
};

Value CyclerMethod::Call(Evaluator&, Arguments& arguments) {
  BindNothing(name, arguments);
  auto& object = static_cast<CyclerObject&>(*cycler);
  if (resets) {
    object.at = 0;
    return Value::None();
  }
  const Value item = object.items[object.at];
  object.at = (object.at + 1) % object.items.size();
  return item;
}

Value Cycler(Evaluator&, Arguments& arguments) {
  if (!arguments.named.empty()) Fail("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) Fail("at least one item has to be provided");
  auto cycler = std::make_shared<CyclerObject>();
  cycler->name = "Cycler";
  cycler->nesting = NestingOf(arguments.positional) + 1;
  if (cycler->nesting > kMaximumNesting) Fail("values nested deeper than {}", kMaximumNesting);
  cycler->items = std::move(arguments.positional);
  return Value::Of(Kind::kCallable, std::move(cycler));
}

struct JoinerObject : CallableObject {
  Value separator;
  bool used = false;
  Value Call(Evaluator&, Arguments& arguments) override {
    BindNothing("joiner", arguments);
    if (used) return separator;
    used = true;
    return Value::String("", false);
  }
};

Value Joiner(Evaluator&, Arguments& arguments) {
  const auto [separator] = Bind<1>("joiner", arguments, {"sep"});
  auto joiner = std::make_shared<JoinerObject>();
  joiner->name = "Joiner";
  joiner->separator = separator.Is(Kind::kMissing) ? Value::String(", ", false) : separator;
  joiner->nesting = NestingOf(Values{joiner->separator}) + 1;
  if (joiner->nesting > kMaximumNesting) Fail("values nested deeper than {}", kMaximumNesting);
  return Value::Of(Kind::kCallable, std::move(joiner));
}

Value RaiseException(Evaluator& evaluator, Arguments& arguments) {
  const auto [message] = Bind<1>("raise_exception", arguments, {"message"}, 1);
  throw TemplateFailure{std::string(ToText(evaluator, message).bytes()), evaluator.line(), true};
}

// datetime.strftime of the clock that the renderer was given: no fraction of a second, no time zone.
Value StrftimeNow(Evaluator& evaluator, Arguments& arguments) {
  const auto [format_value] = Bind<1>("strftime_now", arguments, {"format"}, 1);
  if (!format_value.Is(Kind::kString)) Fail("strftime_now: expected a str, found {}", TypeName(format_value));
  const std::string_view format = format_value.bytes();
  constexpr size_t kMaximumFormat = 4096;
  if (format.size() > kMaximumFormat) Fail("strftime_now: a format longer than {} bytes", kMaximumFormat);
  std::string expanded;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      expanded += format[i];
      continue;
    }
    const char code = format[++i];
    if (code == 'f') {
      expanded += "000000";
    } else if (code != 'z' && code != 'Z') {
      expanded += '%';
      expanded += code;
    }
  }
  std::string out;
  // One conversion at a time: a width as in "%999999d" has nothing to work on, and an empty result is no
  // error.
  for (size_t i = 0; i < expanded.size();) {
    size_t size = 1;
    if (expanded[i] == '%') {
      while (i + size < expanded.size() &&
             std::string_view("-_0^#EO").find(expanded[i + size]) != std::string_view::npos)
        ++size;
      ++size;
      std::array<char, 256> buffer{};
      const std::string one = expanded.substr(i, size);
      out.append(buffer.data(), std::strftime(buffer.data(), buffer.size(), one.c_str(), &evaluator.clock()));
    } else {
      out += expanded[i];
    }
    i += size;
  }
  return Value::String(std::move(out), format_value.text().tainted());
}

struct GlobalEntry {
  std::string_view name;
  Value (*function)(Evaluator& evaluator, Arguments& arguments);
};

constexpr GlobalEntry kGlobals[] = {
    {"cycler", Cycler},
    {"dict", Dict},
    {"joiner", Joiner},
    {"namespace", Namespace},
    {"range", Range},
    {"raise_exception", RaiseException},
    {"strftime_now", StrftimeNow},
};

}  // namespace

Value FindGlobal(std::string_view name) {
  for (const GlobalEntry& entry : kGlobals) {
    if (entry.name != name) continue;
    auto function = std::make_shared<Function>();
    function->name = std::string(name);
    function->function = entry.function;
    return Value::Of(Kind::kCallable, std::move(function));
  }
  return {};
}

}  // namespace hone::chat
