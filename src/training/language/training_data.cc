#include "training/language/training_data.h"

#include <algorithm>
#include <filesystem>

#include "core/base/progress.h"
#include "training/text/bpe_training.h"
#include "training/text/retrieval_text.h"
#include "training/text/text_files.h"
#include "training/text/tokenizer_files.h"

namespace hone {
namespace {

constexpr int64_t kCountedBytes = 24 << 20;  // of all texts together, from which the vocabulary is learned

// The pieces of all texts, their counts scaled so that a text weighs as much as its share, whatever its size.
Result<std::vector<std::pair<std::string, int64_t>>> CountPieces(
    const LanguageModelRecipe& recipe, const std::vector<std::vector<std::string>>& documents) {
  const PreTokenizer* pre = FindPreTokenizer(kTrainedPreTokenizer);
  if (pre == nullptr) return Failed("the pre-tokenizer {} is not known", kTrainedPreTokenizer);
  double shares = 0.0;
  for (const TextShare& text : recipe.texts) shares += text.share;
  std::vector<std::pair<std::string, int64_t>> all;
  for (size_t i = 0; i < documents.size(); ++i) {
    HONE_TRY(PieceCounts counts, PieceCounts::Make(*pre));
    const auto wanted = static_cast<int64_t>(kCountedBytes * recipe.texts[i].share / shares);
    int64_t bytes = 0;
    for (const std::string& document : documents[i]) {
      if (bytes >= wanted) break;
      const std::string_view part =
          std::string_view(document).substr(0, static_cast<size_t>(std::max<int64_t>(1, wanted - bytes)));
      counts.Add(part);
      bytes += static_cast<int64_t>(part.size());
    }
    const auto times = std::max<int64_t>(1, (wanted + bytes / 2) / std::max<int64_t>(1, bytes));
    for (auto& [piece, count] : counts.Sorted()) all.emplace_back(piece, count * times);
  }
  std::ranges::sort(all);
  std::vector<std::pair<std::string, int64_t>> joined;
  for (auto& [piece, count] : all) {
    if (!joined.empty() && joined.back().first == piece) {
      joined.back().second += count;
    } else {
      joined.emplace_back(std::move(piece), count);
    }
  }
  return joined;
}

Result<void> LearnVocabulary(const LanguageModelRecipe& recipe,
                             const std::vector<std::vector<std::string>>& documents,
                             const std::string& folder) {
  HONE_TRY(const auto pieces, CountPieces(recipe, documents));
  const int64_t words = recipe.vocabulary - kControlTokenCount;
  Progress progress("vocabulary", static_cast<uint64_t>(words), Progress::Unit::kItems);
  const BpeVocabulary vocabulary =
      LearnBpe(pieces, words, [&](int64_t tokens) { progress.Update(static_cast<uint64_t>(tokens)); });
  progress.Finish();
  if (static_cast<int64_t>(vocabulary.tokens.size()) < words) {
    return BadInput(recipe.texts.front().path, "text", "gives a vocabulary of {} words, expected {}",
                    vocabulary.tokens.size(), words);
  }
  return WriteTokenizerFolder(vocabulary, folder);
}

std::vector<TrainingToken> Encode(const Tokenizer& tokenizer, const std::vector<std::string>& documents,
                                  bool ends) {
  std::vector<TrainingToken> tokens;
  for (const std::string& document : documents) {
    for (const TokenId id : tokenizer.EncodeText(document).tokens)
      tokens.push_back(static_cast<TrainingToken>(id));
    if (ends) tokens.push_back(static_cast<TrainingToken>(tokenizer.special().eos));
  }
  return tokens;
}

// Windows full of records and questions; the other texts share what `retrieval_share` leaves.
TokenSource RetrievalSource(const LanguageModelRecipe& recipe, const TrainingData& data) {
  constexpr uint64_t kDocumentsOfWindow = 1 << 16;
  double others = 0.0;
  for (const TokenSource& source : data.sources) others += source.share;
  TokenSource retrieval{.name = "retrieval"};
  retrieval.share = recipe.retrieval_share / (1.0 - recipe.retrieval_share) * others;
  retrieval.generate = [tokenizer = data.tokenizer, seed = recipe.seed](uint64_t k,
                                                                        std::span<TrainingToken> window) {
    size_t filled = 0;
    for (uint64_t i = 0; filled < window.size(); ++i) {
      const std::string document = RetrievalDocument(seed, k * kDocumentsOfWindow + i);
      std::vector<TokenId> tokens = tokenizer->EncodeText(document).tokens;
      tokens.push_back(tokenizer->special().eos);
      for (const TokenId token : tokens) {
        if (filled < window.size()) window[filled++] = static_cast<TrainingToken>(token);
      }
    }
  };
  return retrieval;
}

}  // namespace

Result<TrainingData> PrepareTrainingData(const LanguageModelRecipe& recipe, const std::string& folder,
                                         const std::function<void(const std::string&)>& say) {
  std::vector<std::vector<std::string>> documents;
  for (const TextShare& text : recipe.texts) {
    HONE_TRY(std::vector<std::string> read, ReadDocuments(text.path));
    documents.push_back(std::move(read));
  }
  if (!std::filesystem::exists(folder + "/tokenizer.json")) {
    say(fmt::format("learning a vocabulary of {} words", recipe.vocabulary));
    HONE_CHECK_OK(LearnVocabulary(recipe, documents, folder));
  }
  TrainingData data;
  HONE_TRY(data.tokenizer, Tokenizer::FromFolder(folder));
  if (data.tokenizer->vocabulary_size() != recipe.vocabulary) {
    return BadInput(folder + "/tokenizer.json", "words", "{}, expected {} as the recipe says",
                    data.tokenizer->vocabulary_size(), recipe.vocabulary);
  }
  for (size_t i = 0; i < documents.size(); ++i) {
    TokenSource source{.name = recipe.texts[i].path, .share = recipe.texts[i].share};
    source.tokens = Encode(*data.tokenizer, documents[i], /*ends=*/true);
    say(fmt::format("{}: {} tokens, share {}", source.name, source.tokens.size(), source.share));
    documents[i] = {};
    data.sources.push_back(std::move(source));
  }
  if (recipe.retrieval_share > 0.0) data.sources.push_back(RetrievalSource(recipe, data));
  if (!recipe.held_out.empty()) {
    HONE_TRY(const std::vector<std::string> read, ReadDocuments(recipe.held_out));
    data.held_out = Encode(*data.tokenizer, read, /*ends=*/false);
    const auto most = static_cast<size_t>(recipe.held_out_tokens);
    if (data.held_out.size() > most) data.held_out.resize(most);
    for (const TrainingToken token : data.held_out)
      data.held_out_bytes += static_cast<int64_t>(data.tokenizer->TokenBytes(token).size());
    if (static_cast<int64_t>(data.held_out.size()) <= recipe.context()) {
      return BadInput(recipe.held_out, "tokens", "found {}, expected more than {}", data.held_out.size(),
                      recipe.context());
    }
  }
  return data;
}

}  // namespace hone
