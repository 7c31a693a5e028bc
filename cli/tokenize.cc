// hone tokenize MODEL --file F: the token ids of a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/text_input.h"
#include "core/base/log.h"
#include "core/downloads/model_cache.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/tokenizer.h"

namespace hone {
namespace {

struct Options {
  std::string model;
  std::string file;
  std::string text;
  bool has_text = false;
  bool bos = false;
  bool special = false;
  bool json = false;
};

Result<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& path) {
  if (std::filesystem::is_directory(path)) return Tokenizer::FromFolder(path);
  HONE_TRY(const GgufFile file, GgufFile::Open(path));
  return Tokenizer::FromGguf(file);
}

Result<void> Run(const Options& options) {
  if (options.has_text == !options.file.empty())
    return WrongUsage("tokenize: expected --file or --text, one of them");
  HONE_TRY(const std::string path, ResolveModel(options.model));
  HONE_TRY(const auto tokenizer, LoadTokenizer(path));
  for (const std::string& warning : tokenizer->warnings()) LogWarning("{}: {}", path, warning);
  std::string text = options.text;
  if (!options.has_text) {
    HONE_TRY(text, ReadText(options.file));
  }

  Encoding encoding = options.special ? tokenizer->Encode(text, {}) : tokenizer->EncodeText(text);
  if (options.bos) {
    const TokenId bos = tokenizer->special().bos;
    if (bos == kNoToken)
      return WrongUsage("tokenize: --bos: {} has no token for the beginning of a text", options.model);
    encoding.tokens.insert(encoding.tokens.begin(), bos);
  }
  if (encoding.dropped_bytes > 0) {
    LogWarning("{}: the vocabulary cannot spell {} bytes of the text, they are dropped", options.model,
               encoding.dropped_bytes);
  }
  if (options.json) {
    const nlohmann::ordered_json report = {{"tokens", encoding.tokens},
                                           {"dropped_bytes", encoding.dropped_bytes}};
    fmt::print("{}\n", report.dump());
  } else {
    fmt::print("{}\n", fmt::join(encoding.tokens, " "));
  }
  return {};
}

}  // namespace

Action AddTokenize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "A GGUF file (a vocabulary alone is enough), a folder or a pulled model's name")
      ->required();
  app.add_option("--file", options->file, "The text; - is standard input");
  app.add_option_function<std::string>(
      "--text",
      [options](const std::string& text) {
        options->text = text;
        options->has_text = true;
      },
      "The text itself");
  app.add_flag("--bos", options->bos, "Begin with the token for the beginning of a text");
  app.add_flag("--special", options->special,
               "Spellings of control tokens become the tokens; else they are text");
  app.add_flag("--json", options->json, "Write {\"tokens\": [..], \"dropped_bytes\": n}");
  return [options] { return Run(*options); };
}

}  // namespace hone
