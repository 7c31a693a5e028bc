#include "language/models/runner.h"

#include <algorithm>
#include <chrono>

#include "language/models/forward.h"

namespace hone {
namespace {

// The logits of a block of rows; a whole batch's would take 512 MiB for 512 rows of a 262,144-word
// vocabulary.
constexpr int64_t kLogitBytes = 16 << 20;
constexpr int64_t kMostLogitRows = 64;

int64_t LogitRows(int64_t vocabulary, int64_t max_rows) {
  return std::clamp<int64_t>(kLogitBytes / (vocabulary * 4), 1, std::min(kMostLogitRows, max_rows));
}

}  // namespace

class Runner::Impl {
 public:
  Impl(std::shared_ptr<const Model> model, Engine& engine, const RunnerOptions& options)
      : model_(std::move(model)),
        engine_(engine),
        options_(options),
        share_(engine.pool.MakeShare(options.weight)) {
    if (options_.matmul_table == nullptr) options_.matmul_table = std::make_shared<const MatmulTable>();
  }

  Result<void> Allocate() {
    if (options_.max_rows < 1 || options_.max_rows > (1 << 20)) {
      return WrongUsage("runner: max_rows: {}, expected 1 to {}", options_.max_rows, 1 << 20);
    }
    const ModelConfig& config = model_->config();
    HONE_TRY(kernels_, FindKernels(options_.device));
    HONE_CHECK_OK(CheckSoftmax());
    counters_.attention.resize(static_cast<size_t>(config.layers));
    while (options_.max_rows > 64 &&
           ForwardScratch::Layout(config, options_.max_rows, nullptr, nullptr) > kScratchBytes) {
      options_.max_rows = (options_.max_rows - 1) / 64 * 64;
    }
    HONE_TRY(memory_, Buffer::Allocate(engine_.accounts.scratch,
                                       ForwardScratch::Layout(config, options_.max_rows, nullptr, nullptr)));
    ForwardScratch::Layout(config, options_.max_rows, memory_.data(), &scratch_);
    logit_rows_ = LogitRows(config.vocabulary, options_.max_rows);
    HONE_TRY(logits_, Buffer::Allocate(engine_.accounts.scratch,
                                       static_cast<uint64_t>(logit_rows_ * config.vocabulary * 4)));
    return {};
  }

  Result<void> Run(const Batch& batch, LogitsSink sink, const RunOptions& run) {
    const StepClock clock(run.times);
    const int last_layer = run.last_layer < 0 ? model_->config().layers : run.last_layer;
    HONE_TRY(const std::vector<KvCache::Mark> marks, Begin(batch, run, last_layer));
    Forward forward(*model_, batch, options_.mode, *kernels_, *share_, *options_.matmul_table, scratch_,
                    engine_.accounts.scratch, attention_scratch_, run.hooks, run.observers, run.times);
    forward.UseSoftmax(options_.softmax);
    RunLayers(forward, run.first_layer, last_layer);
    if (!forward.error() && run.head) RunHead(forward, batch, sink);
    counters_.steps += 1;
    counters_.rows += static_cast<int64_t>(batch.rows.size());
    for (size_t i = 0; i < counters_.attention.size(); ++i)
      counters_.attention[i].Add(forward.attention_counters()[i]);
    if (!forward.error()) return {};
    for (size_t s = 0; s < marks.size(); ++s) HONE_CHECK_OK(batch.sequences[s].cache->TruncateTo(marks[s]));
    return tl::unexpected(*forward.error());
  }

  void SetWeight(double weight) { share_->SetWeight(weight); }

  std::shared_ptr<const Model> model_;
  Engine& engine_;
  RunnerOptions options_;
  RunnerCounters counters_;

 private:
  // The wall time of one step.
  class StepClock {
   public:
    explicit StepClock(OperatorTimes* times) : times_(times) {
      if (times_ != nullptr) begin_ = std::chrono::steady_clock::now();
    }
    StepClock(const StepClock&) = delete;
    StepClock& operator=(const StepClock&) = delete;
    ~StepClock() {
      if (times_ == nullptr) return;
      times_->wall_seconds +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
      ++times_->steps;
    }

   private:
    OperatorTimes* times_;
    std::chrono::steady_clock::time_point begin_;
  };

  // Checks the batch and reserves its cache entries; returns where the caches stood.
  Result<std::vector<KvCache::Mark>> Begin(const Batch& batch, const RunOptions& run, int last_layer) const {
    const OperatorTimer timer(run.times, Operator::kOther);
    HONE_CHECK_OK(Check(batch, run.first_layer, last_layer));
    std::vector<KvCache::Mark> marks;
    for (const SequenceRows& sequence : batch.sequences) {
      marks.push_back(sequence.cache->Here());
      HONE_CHECK_OK(sequence.cache->Reserve(sequence.rows, run.first_layer, last_layer));
    }
    return marks;
  }

  Result<void> CheckSoftmax() const {
    const ModelConfig& config = model_->config();
    if (options_.softmax.empty()) return {};
    if (static_cast<int>(options_.softmax.size()) != config.layers) {
      return WrongUsage("runner: softmax of {} layers, expected {}", options_.softmax.size(), config.layers);
    }
    for (size_t layer = 0; layer < options_.softmax.size(); ++layer) {
      if (static_cast<int>(options_.softmax[layer].size()) != config.kv_heads) {
        return WrongUsage("runner: softmax of layer {} for {} KV heads, expected {}", layer,
                          options_.softmax[layer].size(), config.kv_heads);
      }
    }
    return {};
  }

  // Rows come in through the embedding, or, from a later layer on, as embedding rows that are the residual
  // stream.
  void RunLayers(Forward& forward, int first_layer, int last_layer) {
    model_->Embed(forward);
    forward.CheckFinite(first_layer - 1);
    forward.CallHooks(Seam::kEmbed, first_layer - 1);
    for (int i = first_layer; i < last_layer && !forward.error() && forward.rows() > 0; ++i) {
      model_->RunMixer(forward, i);
      forward.CallHooks(Seam::kMixer, i);
      model_->RunMlp(forward, i);
      forward.Observe(Tensor::kHidden, i, forward.hidden());
      forward.CheckFinite(i);
      forward.CallHooks(Seam::kLayer, i);
    }
    forward.FinishAll();
  }

  void RunHead(Forward& forward, const Batch& batch, LogitsSink sink) {
    const std::vector<int64_t> rows = forward.RowsForHead();
    const auto columns =
        batch.logit_ids.empty() ? model_->config().vocabulary : static_cast<int64_t>(batch.logit_ids.size());
    for (size_t begin = 0; begin < rows.size() && !forward.error();
         begin += static_cast<size_t>(logit_rows_)) {
      const auto block = std::span<const int64_t>(rows).subspan(
          begin, std::min(static_cast<size_t>(logit_rows_), rows.size() - begin));
      const MatrixView<float> logits(logits_.as<float>().data(), static_cast<int64_t>(block.size()), columns);
      model_->Head(forward, forward.Gather(block), batch.logit_ids, logits);
      const OperatorTimer timer(forward.times(), Operator::kSampling);
      for (size_t i = 0; i < block.size(); ++i) {
        const std::span<float> values = logits.row_span(static_cast<int64_t>(i));
        if (!AllFinite(values)) {
          forward.Fail({ErrorKind::kFailed,
                        fmt::format("{}: output: a logit that is not finite (NaN or infinity) at position {}",
                                    model_->path(), batch.rows[static_cast<size_t>(block[i])].position[0])});
          return;
        }
        sink(block[i], values);
      }
    }
  }

  Result<void> Check(const Batch& batch, int first_layer, int last_layer) const {
    const ModelConfig& config = model_->config();
    const auto count = static_cast<int64_t>(batch.rows.size());
    if (count > options_.max_rows)
      return WrongUsage("batch: {} rows, expected at most {}", count, options_.max_rows);
    if (first_layer < 0 || first_layer > last_layer || last_layer > config.layers) {
      return WrongUsage("batch: layers [{}, {}), expected within [0, {})", first_layer, last_layer,
                        config.layers);
    }
    int64_t next = 0;
    for (const SequenceRows& sequence : batch.sequences) {
      if (sequence.cache == nullptr || sequence.first_row != next || sequence.rows < 1) {
        return WrongUsage("batch: a sequence with rows [{}, {}), expected them from {} on",
                          sequence.first_row, sequence.first_row + sequence.rows, next);
      }
      next += sequence.rows;
      if (!sequence.mask.empty() &&
          static_cast<int64_t>(sequence.mask.size()) != sequence.rows * sequence.mask_words()) {
        return WrongUsage("batch: a mask of {} words for {} rows, expected {}", sequence.mask.size(),
                          sequence.rows, sequence.rows * sequence.mask_words());
      }
      for (const SegmentView& view : sequence.views) {
        const bool sized = view.rule == SegmentRule::kWindow || view.rule == SegmentRule::kBlockCausal;
        if (sized && view.size < 1)
          return WrongUsage("batch: segment {}: size {}, expected at least 1", view.segment, view.size);
      }
      if (!sequence.key_bias.empty()) {
        const int64_t entries = sequence.cache->layer(first_layer).entries() + sequence.rows;
        if (static_cast<int64_t>(sequence.key_bias.size()) < entries) {
          return WrongUsage("batch: a bias for {} keys, expected {}", sequence.key_bias.size(), entries);
        }
      }
    }
    if (next != count) return WrongUsage("batch: sequences hold {} rows of {}", next, count);
    for (const Row& row : batch.rows) {
      if (row.embedding == nullptr && (row.token < 0 || row.token >= config.vocabulary)) {
        return WrongUsage("batch: token {}, expected 0 to {}", row.token, config.vocabulary - 1);
      }
      if (row.adapter != -1) return WrongUsage("batch: adapter {}, but no adapter is loaded", row.adapter);
      for (const int32_t axis : row.position) {
        if (axis < 0) return WrongUsage("batch: position {}, expected 0 or more", axis);
      }
    }
    for (const TokenId id : batch.logit_ids) {
      if (id < 0 || id >= config.vocabulary)
        return WrongUsage("batch: logit id {}, expected 0 to {}", id, config.vocabulary - 1);
    }
    return {};
  }

  const DeviceKernels* kernels_ = nullptr;
  std::unique_ptr<ComputeShare> share_;
  Buffer memory_;
  Buffer logits_;
  Buffer attention_scratch_;
  ForwardScratch scratch_;
  int64_t logit_rows_ = 1;
};

Runner::Runner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::Create(std::shared_ptr<const Model> model, Engine& engine,
                                               const RunnerOptions& options) {
  auto impl = std::make_unique<Impl>(std::move(model), engine, options);
  HONE_CHECK_OK(impl->Allocate());
  return std::unique_ptr<Runner>(new Runner(std::move(impl)));
}

const Model& Runner::model() const { return *impl_->model_; }
const RunnerOptions& Runner::options() const { return impl_->options_; }
void Runner::SetWeight(double weight) { impl_->SetWeight(weight); }
const RunnerCounters& Runner::counters() const { return impl_->counters_; }

Result<void> Runner::Run(const Batch& batch, LogitsSink sink, const RunOptions& options) {
  return impl_->Run(batch, sink, options);
}

}  // namespace hone
