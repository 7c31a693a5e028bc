#include "training/language/lm_training_torch.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/autograd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <thread>

#include "language/models/llama_torch.h"
#include "training/language/adamw_torch.h"
#include "training/language/checkpoint.h"
#include "training/language/training_data.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<LanguageModelRecipe> ChooseRecipe(const TrainingRun& run) {
  const std::string path = run.folder + "/recipe.json";
  std::error_code failure;
  fs::create_directories(run.folder, failure);
  if (failure) return Failed("{}: {}", run.folder, failure.message());
  if (!fs::exists(path)) {
    if (!run.recipe)
      return BadInput(path, "recipe", "absent, expected a run to go on with, or texts for a new one");
    HONE_CHECK_OK(CheckRecipe(*run.recipe));
    HONE_CHECK_OK(WriteRecipe(*run.recipe, path));
    return *run.recipe;
  }
  HONE_TRY(LanguageModelRecipe recipe, ReadRecipe(path));
  if (run.recipe && RecipeJson(*run.recipe) != RecipeJson(recipe))
    return WrongUsage("{} holds a run with another recipe: give no texts to go on with it, or another folder",
                      run.folder);
  if (run.more_steps && *run.more_steps != recipe.steps) {
    recipe.steps = *run.more_steps;
    HONE_CHECK_OK(CheckRecipe(recipe));
    HONE_CHECK_OK(WriteRecipe(recipe, path));
  }
  return recipe;
}

// Threads of ours run whole parts of a batch; libtorch and its BLAS shall start none of their own inside.
void UseOneThreadAnOperator() {
  at::set_num_threads(1);
  if (void* found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); found != nullptr)
    reinterpret_cast<void (*)(int)>(found)(1);
}

class Training {
 public:
  Training(const TrainingRun& run, LanguageModelRecipe recipe, TrainingData data)
      : run_(run),
        recipe_(std::move(recipe)),
        data_(std::move(data)),
        model_(recipe_.Config(), recipe_.seed),
        optimizer_(model_.parameters(), {.beta1 = recipe_.beta1,
                                         .beta2 = recipe_.beta2,
                                         .weight_decay = recipe_.weight_decay,
                                         .clip = recipe_.clip}) {}

  Result<LossLog> Run() {
    if (HasCheckpoint(run_.folder)) HONE_CHECK_OK(Restore());
    const std::string log_path = run_.folder + "/log.csv";
    HONE_TRY(std::vector<LossLine> lines, ReadLossLog(log_path, step_));
    HONE_TRY(LossLog log, LossLog::Begin(log_path, std::move(lines)));
    const int64_t first = step_;
    double saved = Seconds();
    while (step_ < recipe_.steps && (run_.stop_after < 0 || step_ < first + run_.stop_after)) {
      HONE_TRY(const LossLine line, Step());
      HONE_CHECK_OK(log.Append(line));
      if (run_.after_step) run_.after_step(line, recipe_.steps);
      const bool cancelled = run_.cancel != nullptr && run_.cancel->load(std::memory_order_relaxed);
      if (cancelled || Seconds() - saved >= run_.checkpoint_seconds) {
        HONE_CHECK_OK(Save());
        saved = Seconds();
      }
      if (cancelled)
        return tl::unexpected(
            Error{ErrorKind::kInterrupted, fmt::format("interrupted after step {}", step_)});
    }
    if (step_ > first) HONE_CHECK_OK(Save());
    return log;
  }

 private:
  // Batches of one length are one stretch of windows; a new length begins a new order.
  Result<void> OpenWindows() {
    const int64_t length = recipe_.LengthAt(step_);
    if (windows_ && length == length_) return {};
    int64_t begin = step_;
    while (begin > 0 && recipe_.LengthAt(begin - 1) == length) --begin;
    HONE_TRY(windows_,
             TokenMixture::Make(data_.sources, length, recipe_.seed + static_cast<uint64_t>(length)));
    windows_->Skip((step_ - begin) * (recipe_.batch_tokens / length));
    length_ = length;
    return {};
  }

  Result<LossLine> Step() {
    const double start = Seconds();
    HONE_CHECK_OK(OpenWindows());
    LossLine line{.loss = Gradients(), .rate = recipe_.RateAt(step_)};
    line.gradient_norm = optimizer_.Step(step_, line.rate);
    if (!std::isfinite(line.gradient_norm) || !std::isfinite(line.loss))
      return Failed("step {}: the loss is {} and its gradient's norm {}", step_ + 1, line.loss,
                    line.gradient_norm);
    ++step_;
    line.step = step_;
    line.tokens = step_ * recipe_.batch_tokens;
    if (!data_.held_out.empty() && (step_ % run_.held_out_every == 0 || step_ == recipe_.steps))
      line.held_out = HeldOutLoss();
    line.seconds = Seconds() - start;
    return line;
  }

  struct PartResult {
    torch::autograd::variable_list gradients;
    double loss = 0.0;
    std::exception_ptr failure;
  };

  PartResult RunPart(const torch::Tensor& tokens, const torch::Tensor& next,
                     const torch::autograd::variable_list& weights) const {
    PartResult result;
    try {
      const auto loss = model_.Loss(tokens, next);
      result.gradients = torch::autograd::grad({loss}, weights);
      result.loss = loss.item<double>();
    } catch (...) {
      result.failure = std::current_exception();
    }
    return result;
  }

  // Leaves the gradient of the batch's mean loss in the weights. The batch runs in parts of `rows` tokens,
  // each on one thread; their gradients are added in the order of the parts, so that the bits do not depend
  // on the number of threads.
  double Gradients() {
    const int64_t parts = recipe_.batch_tokens / recipe_.rows;
    torch::autograd::variable_list weights;
    for (const auto& [name, weight] : model_.parameters()) weights.push_back(weight);
    double loss = 0.0;
    for (int64_t begin = 0; begin < parts; begin += run_.threads) {
      const int64_t together = std::min<int64_t>(run_.threads, parts - begin);
      std::vector<PartResult> results(static_cast<size_t>(together));
      std::vector<std::thread> threads;
      for (PartResult& result : results) {
        const auto [tokens, next] = NextRows();
        const auto work = [this, &result, &weights, tokens = tokens, next = next] {
          result = RunPart(tokens, next, weights);
        };
        if (&result == &results.back()) {
          work();
        } else {
          threads.emplace_back(work);
        }
      }
      for (std::thread& thread : threads) thread.join();
      for (const PartResult& result : results) {
        if (result.failure) std::rethrow_exception(result.failure);
        loss += result.loss / static_cast<double>(parts);
        for (size_t i = 0; i < weights.size(); ++i) {
          auto& sum = weights[i].mutable_grad();
          if (!sum.defined()) sum = torch::zeros_like(weights[i]);
          sum.add_(result.gradients[i], 1.0 / static_cast<double>(parts));
        }
      }
    }
    return loss;
  }

  // Windows of text begin with BOS, as the engine begins every text.
  std::pair<torch::Tensor, torch::Tensor> NextRows() {
    const int64_t count = recipe_.rows / length_;
    auto tokens = torch::empty({count, length_}, torch::kInt64);
    auto next = torch::empty({count, length_}, torch::kInt64);
    std::vector<TrainingToken> window(static_cast<size_t>(length_) + 1);
    for (int64_t i = 0; i < count; ++i) {
      windows_->Next(window);
      PutWindow(window, tokens.data_ptr<int64_t>() + i * length_, next.data_ptr<int64_t>() + i * length_);
    }
    return {tokens, next};
  }

  void PutWindow(std::span<const TrainingToken> window, int64_t* tokens, int64_t* next) const {
    for (int64_t j = 0; j < static_cast<int64_t>(window.size()) - 1; ++j) {
      tokens[j] = window[static_cast<size_t>(j)];
      next[j] = window[static_cast<size_t>(j) + 1];
    }
    tokens[0] = data_.tokenizer->special().bos;
  }

  double HeldOutLoss() const {
    torch::NoGradGuard no_gradient;
    const int64_t length = recipe_.context();
    auto tokens = torch::empty({1, length}, torch::kInt64);
    auto next = torch::empty({1, length}, torch::kInt64);
    double sum = 0.0;
    int64_t windows = 0;
    for (size_t begin = 0; begin + static_cast<size_t>(length) < data_.held_out.size();
         begin += static_cast<size_t>(length)) {
      PutWindow(std::span(data_.held_out).subspan(begin, static_cast<size_t>(length) + 1),
                tokens.data_ptr<int64_t>(), next.data_ptr<int64_t>());
      sum += model_.Loss(tokens, next).item<double>();
      ++windows;
    }
    return sum / static_cast<double>(windows);
  }

  std::vector<AdamWTorch::Named> Everything() const {
    std::vector<AdamWTorch::Named> all = model_.parameters();
    all.insert(all.end(), optimizer_.moments().begin(), optimizer_.moments().end());
    return all;
  }

  Result<void> Save() const {
    std::vector<NamedValues> values;
    for (const auto& [name, tensor] : Everything()) {
      values.push_back(
          {name, tensor.sizes().vec(), {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())}});
    }
    return SaveCheckpoint(run_.folder, step_, values);
  }

  Result<void> Restore() {
    HONE_TRY(const Checkpoint checkpoint, LoadCheckpoint(run_.folder));
    if (!checkpoint.passed_over.empty()) run_.say(checkpoint.passed_over);
    const auto all = Everything();
    if (checkpoint.tensors.size() != all.size())
      return BadInput(checkpoint.path, "tensors", "{}, expected {}", checkpoint.tensors.size(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const auto& [name, tensor] = all[i];
      const LoadedValues& loaded = checkpoint.tensors[i];
      if (loaded.name != name || loaded.shape != tensor.sizes().vec())
        return BadInput(checkpoint.path, loaded.name, "shape [{}], expected {} of shape [{}]",
                        fmt::join(loaded.shape, ", "), name, fmt::join(tensor.sizes().vec(), ", "));
      std::memcpy(tensor.data_ptr<float>(), loaded.values.data(), loaded.values.size() * sizeof(float));
    }
    step_ = checkpoint.step;
    run_.say(fmt::format("going on after step {} of {}", step_, recipe_.steps));
    return {};
  }

  const TrainingRun& run_;
  LanguageModelRecipe recipe_;
  TrainingData data_;
  LlamaTorch model_;
  AdamWTorch optimizer_;
  std::optional<TokenMixture> windows_;
  int64_t length_ = 0;
  int64_t step_ = 0;
};

}  // namespace

Result<LossLog> TrainLanguageModel(const TrainingRun& run) {
  UseOneThreadAnOperator();
  HONE_TRY(LanguageModelRecipe recipe, ChooseRecipe(run));
  HONE_TRY(TrainingData data, PrepareTrainingData(recipe, run.folder, run.say));
  try {
    return Training(run, std::move(recipe), std::move(data)).Run();
  } catch (const std::exception& error) {  // libtorch: out of memory, shapes
    return Failed("libtorch: {}",
                  std::string_view(error.what()).substr(0, std::string_view(error.what()).find('\n')));
  }
}

}  // namespace hone
