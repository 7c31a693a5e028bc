#include "language/models/forward.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace hone {
namespace {

// Up to here a row-wise operation is cheaper on the calling thread than a fork.
constexpr int64_t kInlineRows = 4;
// Rows are prepared for a product in groups; slices keep to them.
constexpr int64_t kRowSlice = 8;

int64_t QueryKeyValueColumns(const ModelConfig& config) {
  return static_cast<int64_t>(config.heads + 2 * config.kv_heads) * config.head_dim;
}

}  // namespace

uint64_t ForwardScratch::Layout(const ModelConfig& config, int64_t rows, std::byte* memory,
                                ForwardScratch* scratch) {
  uint64_t used = 0;
  const auto take = [&](int64_t bytes) {
    std::byte* place = memory == nullptr ? nullptr : memory + used;
    used += static_cast<uint64_t>((bytes + 63) / 64 * 64);
    return place;
  };
  const auto matrix = [&](int64_t columns, int64_t times = 1) {
    return MatrixView<float>(reinterpret_cast<float*>(take(times * rows * columns * 4)), times * rows,
                             columns);
  };
  ForwardScratch views;
  const int64_t attended = static_cast<int64_t>(config.heads) * config.head_dim;
  views.hidden = matrix(config.width);
  views.normed = matrix(config.width);
  views.query = matrix(QueryKeyValueColumns(config));
  views.attended = matrix(attended);
  views.projected = matrix(config.width);
  views.gated = matrix(2 * static_cast<int64_t>(config.feed_forward));
  views.finished = matrix(config.width);
  views.twice = matrix(config.width, 2);
  views.halves = matrix(QueryKeyValueColumns(config), 2);
  const int64_t widest = std::max<int64_t>({config.width, attended, config.feed_forward});
  for (const ActivationForm form : {ActivationForm::kFloat, ActivationForm::kInt8}) {
    const int64_t bytes =
        std::max(PreparedBytes(form, rows, widest), PreparedBytes(form, 2 * rows, config.width));
    views.prepared[static_cast<size_t>(form)] = {take(bytes), static_cast<size_t>(bytes)};
  }
  const int64_t angles = rows * config.rope_dimensions * 2;  // cos and sin, global and local
  views.rope = {reinterpret_cast<float*>(take(angles * 4)), static_cast<size_t>(angles)};
  if (scratch != nullptr) *scratch = views;
  return used;
}

Forward::Forward(const Model& model, const Batch& batch, NumericMode mode, ComputeShare& share,
                 const MatmulTable& matmul_table, ForwardScratch& scratch, MemoryAccount& scratch_account,
                 Buffer& attention_scratch, std::span<RowHook* const> hooks,
                 std::span<Observer* const> observers, OperatorTimes* times)
    : model_(model),
      config_(model.config()),
      batch_(batch),
      mode_(mode),
      share_(share),
      matmul_table_(matmul_table),
      scratch_(scratch),
      scratch_account_(scratch_account),
      attention_scratch_(attention_scratch),
      hooks_(hooks),
      observers_(observers),
      times_(times),
      active_(batch.rows.size()),
      finished_(batch.rows.size(), 0),
      counters_(static_cast<size_t>(config_.layers)) {
  for (size_t i = 0; i < active_.size(); ++i) active_[i] = static_cast<int64_t>(i);
  {
    const OperatorTimer timer(times_, Operator::kOther);
    ListSequences();
  }
  const OperatorTimer timer(times_, Operator::kRope);
  FillRope();
}

void Forward::ListSequences() {
  sequences_.clear();
  size_t next = 0;
  for (const SequenceRows& sequence : batch_.sequences) {
    ActiveSequence active;
    active.first = static_cast<int64_t>(next);
    while (next < active_.size() && active_[next] < sequence.first_row + sequence.rows) {
      const Row& row = batch_.rows[static_cast<size_t>(active_[next])];
      active.rows.push_back(active_[next] - sequence.first_row);
      active.positions.push_back(row.position);
      active.segments.push_back(row.segment);
      ++next;
    }
    sequences_.push_back(std::move(active));
  }
}

void Forward::ForRows(int64_t rows, FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (rows <= kInlineRows || share_.threads() == 1) {
    if (rows > 0) body(0, rows);
    return;
  }
  const int64_t slices = 4 * share_.threads();
  const int64_t size =
      std::max(kRowSlice, ((rows + slices - 1) / slices + kRowSlice - 1) / kRowSlice * kRowSlice);
  share_.ParallelFor((rows + size - 1) / size,
                     [&](int64_t task) { body(task * size, std::min(rows, (task + 1) * size)); });
}

void Forward::LookUp(const Linear& embedding, float scale) {
  const OperatorTimer timer(times_, Operator::kEmbedding);
  const MatrixView<float> y = hidden();
  ForRows(rows(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (row(i).embedding != nullptr) {
        std::memcpy(y.row(i), row(i).embedding, static_cast<size_t>(y.columns) * sizeof(float));
      } else {
        embedding.weight.format->ReadRow(embedding.weight, row(i).token, y.row_span(i));
        if (scale != 1.0f) Scale(scale, y.row_span(i));
      }
    }
  });
}

MatrixView<float> Forward::Norm(MatrixView<const float> x, std::span<const float> weight) {
  const OperatorTimer timer(times_, Operator::kNorm);
  const MatrixView<float> y = scratch_.normed.slice_rows(0, x.rows);
  ForRows(x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RmsNorm(x.row_span(i), weight, config_.norm_epsilon, y.row_span(i));
  });
  return y;
}

void Forward::NormInPlace(MatrixView<float> x, std::span<const float> weight) {
  const OperatorTimer timer(times_, Operator::kNorm);
  const size_t size = weight.size();
  ForRows(x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (size_t at = 0; at < static_cast<size_t>(x.columns); at += size) {
        const std::span<float> part = x.row_span(i).subspan(at, size);
        RmsNorm(part, weight, config_.norm_epsilon, part);
      }
    }
  });
}

std::array<Activations, 2> Forward::PrepareAll(MatrixView<const float> x, std::span<const Product> products,
                                               bool twice) {
  std::array<Activations, 2> prepared;
  for (const Product& product : products) {
    const ActivationForm form = product.linear->weight.format->form(mode_);
    Activations& activations = prepared[static_cast<size_t>(form)];
    if (activations.data != nullptr) continue;
    std::byte* data = scratch_.prepared[static_cast<size_t>(form)].data();
    MatrixView<const float> rows = x;
    if (twice && form == ActivationForm::kInt8) {
      const MatrixView<float> both = scratch_.twice.slice_rows(0, 2 * x.rows);
      ForRows(x.rows, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          std::memcpy(both.row(i), x.row(i), static_cast<size_t>(x.columns) * sizeof(float));
          QuantizationResidual(x.row_span(i), both.row_span(x.rows + i));
        }
      });
      rows = both;
    }
    ForRows(rows.rows, [&](int64_t begin, int64_t end) { Prepare(form, rows, begin, end, data); });
    activations = {form, rows.rows, rows.columns, data};
  }
  return prepared;
}

// Rows [begin, end) of one weight matrix.
void Forward::MultiplyTask(const Product& product, const std::array<Activations, 2>& prepared, bool twice,
                           int64_t begin, int64_t end, MatmulKernel kernel) {
  const Linear& linear = *product.linear;
  const MatrixView<float>& y = product.y;
  const WeightFormat& format = *linear.weight.format;
  const ActivationForm form = format.form(mode_);
  const Activations& x = prepared[static_cast<size_t>(form)];
  if (twice && form == ActivationForm::kInt8) {
    const MatrixView<float> halves =
        scratch_.halves.slice_columns(y.data - scratch_.query.data, y.columns).slice_rows(0, 2 * y.rows);
    format.Multiply({linear.weight, x, begin, end, halves, kernel});
    for (int64_t i = 0; i < y.rows; ++i) {
      const float* first = halves.row(i);
      const float* second = halves.row(y.rows + i);
      for (int64_t n = begin; n < end; ++n) y.row(i)[n] = first[n] + second[n];
    }
  } else {
    format.Multiply({linear.weight, x, begin, end, y, kernel});
  }
  if (linear.bias.empty()) return;
  const auto bias = std::span<const float>(linear.bias)
                        .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  for (int64_t i = 0; i < y.rows; ++i) AddTo(bias, {y.row(i) + begin, bias.size()});
}

void Forward::MultiplyAll(MatrixView<const float> x, std::span<const Product> products, bool twice) {
  if (x.rows == 0) return;
  const OperatorTimer timer(times_, products.front().linear->op);
  const std::array<Activations, 2> prepared = PrepareAll(x, products, twice);
  constexpr size_t kMostProducts = 4;
  std::array<MatmulKernel, kMostProducts> kernels;
  std::array<int64_t, kMostProducts> weight_rows;
  std::array<int64_t, kMostProducts> rows_per_task;
  for (size_t p = 0; p < products.size(); ++p) {
    const PackedMatrix& w = products[p].linear->weight;
    const ActivationForm form = w.format->form(mode_);
    const MatmulChoice choice = matmul_table_.Choose({w.format->source(), form, share_.threads(), w.rows,
                                                      w.columns, prepared[static_cast<size_t>(form)].rows});
    kernels[p] = choice.kernel;
    weight_rows[p] = w.rows;
    rows_per_task[p] = choice.rows_per_task;
  }
  CutProducts({weight_rows.data(), products.size()}, {rows_per_task.data(), products.size()},
              share_.threads(), cuts_);
  share_.ParallelFor(static_cast<int64_t>(cuts_.size()), [&](int64_t task) {
    const MatmulCut& cut = cuts_[static_cast<size_t>(task)];
    MultiplyTask(products[cut.product], prepared, twice, cut.begin, cut.end, kernels[cut.product]);
  });
}

void Forward::Multiply(MatrixView<const float> x, const Linear& linear, MatrixView<float> y) {
  const Product product{&linear, y};
  MultiplyAll(x, {&product, 1});
}

void Forward::MultiplyRows(MatrixView<const float> x, const Linear& linear, std::span<const TokenId> ids,
                           MatrixView<float> y) {
  const OperatorTimer timer(times_, linear.op);
  const Product product{&linear, y};
  const std::array<Activations, 2> prepared = PrepareAll(x, {&product, 1});
  const WeightFormat& format = *linear.weight.format;
  const MatmulKernel kernel = x.rows == 1 ? MatmulKernel::kMatvec : MatmulKernel::kFlat;
  share_.ParallelFor(static_cast<int64_t>(ids.size()), [&](int64_t task) {
    // The group of rows that holds the id, so that the value has the bits of the whole product.
    const int64_t id = ids[static_cast<size_t>(task)];
    const int64_t begin = id / kRowGroup * kRowGroup;
    const int64_t end = std::min(begin + kRowGroup, linear.weight.rows);
    const PackedMatrix group{
        &format, end - begin, linear.weight.columns,
        linear.weight.data + begin / kRowGroup * format.GroupBytes(linear.weight.columns)};
    std::vector<float> values(static_cast<size_t>(x.rows * (end - begin)));
    const MatrixView<float> view(values.data(), x.rows, end - begin);
    const Activations& activations = prepared[static_cast<size_t>(format.form(mode_))];
    format.Multiply({group, activations, 0, end - begin, view, kernel});
    for (int64_t i = 0; i < x.rows; ++i) {
      const float bias = linear.bias.empty() ? 0.0f : linear.bias[static_cast<size_t>(id)];
      y.row(i)[task] = view.row(i)[id - begin] + bias;
    }
  });
}

Forward::QueryKeyValue Forward::ProjectQueryKeyValue(MatrixView<const float> x, const Linear& query,
                                                     const Linear& key, const Linear& value) {
  const MatrixView<float> all = scratch_.query.slice_rows(0, x.rows);
  const int64_t q = static_cast<int64_t>(config_.heads) * config_.head_dim;
  const int64_t kv = static_cast<int64_t>(config_.kv_heads) * config_.head_dim;
  QueryKeyValue out{all.slice_columns(0, q), all.slice_columns(q, kv), all.slice_columns(q + kv, kv)};
  const Product products[] = {{&query, out.query}, {&key, out.key}, {&value, out.value}};
  MultiplyAll(x, products, /*twice=*/true);
  return out;
}

Forward::QueryKeyValue Forward::ProjectQueryKeyValue(MatrixView<const float> x, const Linear& fused) {
  const MatrixView<float> all = scratch_.query.slice_rows(0, x.rows);
  const int64_t q = static_cast<int64_t>(config_.heads) * config_.head_dim;
  const int64_t kv = static_cast<int64_t>(config_.kv_heads) * config_.head_dim;
  const Product product{&fused, all};
  MultiplyAll(x, {&product, 1}, /*twice=*/true);
  return {all.slice_columns(0, q), all.slice_columns(q, kv), all.slice_columns(q + kv, kv)};
}

Forward::GateUp Forward::ProjectGateUp(MatrixView<const float> x, const Linear& gate, const Linear& up) {
  const MatrixView<float> all = scratch_.gated.slice_rows(0, x.rows);
  GateUp out{all.slice_columns(0, config_.feed_forward),
             all.slice_columns(config_.feed_forward, config_.feed_forward)};
  const Product products[] = {{&gate, out.gate}, {&up, out.up}};
  MultiplyAll(x, products);
  return out;
}

Forward::GateUp Forward::ProjectGateUp(MatrixView<const float> x, const Linear& fused) {
  const MatrixView<float> all = scratch_.gated.slice_rows(0, x.rows);
  Multiply(x, fused, all);
  return {all.slice_columns(0, config_.feed_forward),
          all.slice_columns(config_.feed_forward, config_.feed_forward)};
}

MatrixView<float> Forward::Project(MatrixView<const float> x, const Linear& linear) {
  const MatrixView<float> y = scratch_.projected.slice_rows(0, x.rows);
  Multiply(x, linear, y);
  return y;
}

void Forward::FillRope() {
  const auto pairs = static_cast<size_t>(config_.rope_dimensions / 2);
  float* global = scratch_.rope.data();
  float* local = global + scratch_.rope.size() / 2;
  const auto fill = [&](const RopeFrequencies& frequencies, int64_t i, float* angles) {
    float* cos = angles + static_cast<size_t>(i) * 2 * pairs;
    frequencies.Fill(row(i).position, {cos, pairs}, {cos + pairs, pairs});
  };
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const RopeFrequencies& frequencies = model_.rope().global[batch_.sequences[s].long_rope ? 1 : 0];
    const int64_t first = sequences_[s].first;
    ForRows(static_cast<int64_t>(sequences_[s].rows.size()), [&](int64_t begin, int64_t end) {
      for (int64_t i = first + begin; i < first + end; ++i) {
        fill(frequencies, i, global);
        fill(model_.rope().local, i, local);
      }
    });
  }
}

void Forward::Rotate(RopeKind kind, const QueryKeyValue& qkv) {
  const OperatorTimer timer(times_, Operator::kRope);
  const auto pairs = static_cast<size_t>(config_.rope_dimensions / 2);
  const RopePairs layout = config_.rope_neighbours ? RopePairs::kNeighbours : RopePairs::kHalves;
  const float* angles = scratch_.rope.data() + (kind == RopeKind::kLocal ? scratch_.rope.size() / 2 : 0);
  ForRows(rows(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* cos = angles + static_cast<size_t>(i) * 2 * pairs;
      for (const MatrixView<float>& x : {qkv.query, qkv.key}) {
        for (int64_t at = 0; at < x.columns; at += config_.head_dim) {
          Rope(layout, {cos, pairs}, {cos + pairs, pairs},
               {x.row(i) + at, static_cast<size_t>(config_.head_dim)});
        }
      }
    }
  });
}

void Forward::AppendToCaches(int layer, MatrixView<const float> mixer_input, const QueryKeyValue& qkv) {
  const OperatorTimer timer(times_, Operator::kKvAppend);
  std::vector<KvRows> rows(sequences_.size());
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const ActiveSequence& active = sequences_[s];
    if (active.rows.empty()) continue;
    const auto count = static_cast<int64_t>(active.rows.size());
    rows[s].mixer_input = mixer_input.slice_rows(active.first, count);
    rows[s].key = MatrixView<const float>(qkv.key).slice_rows(active.first, count);
    rows[s].value = MatrixView<const float>(qkv.value).slice_rows(active.first, count);
    rows[s].positions = active.positions;
    rows[s].segments = active.segments;
    KvStore& store = batch_.sequences[s].cache->layer(layer);
    if (auto begun = store.BeginAppend(active.positions, active.segments); !begun) {
      return Fail(std::move(begun).error());
    }
  }
  const auto write = [&](int64_t task) {
    const auto s = static_cast<size_t>(task / config_.kv_heads);
    if (sequences_[s].rows.empty()) return;
    batch_.sequences[s].cache->layer(layer).WriteHead(static_cast<int>(task % config_.kv_heads), rows[s]);
  };
  const int64_t tasks = static_cast<int64_t>(sequences_.size()) * config_.kv_heads;
  if (this->rows() > kInlineRows) {
    share_.ParallelFor(tasks, write);
  } else {
    for (int64_t task = 0; task < tasks; ++task) write(task);
  }
}

std::span<const RowView> Forward::Views(int layer, size_t s, MatrixView<const float> query) {
  const SequenceRows& sequence = batch_.sequences[s];
  const ActiveSequence& active = sequences_[s];
  const KvStore& store = sequence.cache->layer(layer);
  const std::span<const RowView> views = visibility_.Views(batch_, s, active.rows, store);
  if (sequence.selector == nullptr || active.rows.empty() || !sequence.selector->Selects(layer)) return views;
  const auto rows = static_cast<int64_t>(active.rows.size());
  selected_.resize(sequences_.size());
  auto selected = selected_[s].Select(
      *sequence.selector, {layer, &store, query.slice_rows(active.first, rows), active.positions, views});
  if (selected) return *selected;
  Fail(std::move(selected).error());
  return views;
}

MatrixView<float> Forward::Attend(int layer, MatrixView<const float> mixer_input, const QueryKeyValue& qkv) {
  const MatrixView<float> output = scratch_.attended.slice_rows(0, rows());
  Observe(Tensor::kQuery, layer, qkv.query);
  Observe(Tensor::kKey, layer, qkv.key);
  Observe(Tensor::kValue, layer, qkv.value);
  std::vector<AttentionItem> items(sequences_.size());
  AppendToCaches(layer, mixer_input, qkv);
  if (error_) return output;
  const OperatorTimer timer(times_, Operator::kAttention);
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const ActiveSequence& active = sequences_[s];
    items[s] = {active.first, static_cast<int64_t>(active.rows.size()),
                batch_.sequences[s].cache->layer(layer).tiles(), Views(layer, s, qkv.query)};
  }
  if (error_) return output;
  AttentionShape shape{config_.heads, config_.kv_heads, config_.head_dim, config_.attention_scale, {}};
  if (!softmax_.empty()) shape.softmax = softmax_[static_cast<size_t>(layer)];
  const auto bytes = static_cast<uint64_t>(AttentionScratchBytes(shape, items));
  if (attention_scratch_.size() < bytes) {
    attention_scratch_.Reset();
    auto larger = Buffer::Allocate(scratch_account_, bytes + bytes / 4);
    if (!larger) {
      Fail(std::move(larger).error());
      return output;
    }
    attention_scratch_ = std::move(*larger);
  }
  Attention(share_, shape, items, qkv.query, output, attention_scratch_.bytes(),
            &counters_[static_cast<size_t>(layer)]);
  return output;
}

MatrixView<float> Forward::Gate(Activation activation, int layer, const GateUp& gate_up) {
  {
    const OperatorTimer timer(times_, Operator::kActivation);
    ForRows(rows(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        activation(gate_up.gate.row_span(i), gate_up.up.row_span(i), gate_up.gate.row_span(i));
      }
    });
  }
  Observe(Tensor::kActivation, layer, gate_up.gate);
  return gate_up.gate;
}

void Forward::AddToHidden(MatrixView<const float> x) {
  const OperatorTimer timer(times_, Operator::kOther);
  const MatrixView<float> y = hidden();
  ForRows(x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) AddTo(x.row_span(i), y.row_span(i));
  });
}

void Forward::Observe(Tensor tensor, int layer, MatrixView<const float> values) {
  if (observers_.empty()) return;
  const OperatorTimer timer(times_, Operator::kOther);
  for (Observer* observer : observers_) {
    if (observer->Wants(tensor, layer)) observer->Observe(tensor, layer, active_, values);
  }
}

// The view that hooks get: it notes what they decide; the rows move when all hooks of the seam have run.
class Forward::Rows : public ActiveRows {
 public:
  enum Fate : uint8_t { kGoesOn, kFinishes, kIsDropped };

  explicit Rows(Forward& forward) : forward_(forward), fate_(forward.active_.size(), kGoesOn) {}
  const Batch& batch() const override { return forward_.batch_; }
  int64_t count() const override { return forward_.rows(); }
  int64_t batch_row(int64_t i) const override { return forward_.active_[static_cast<size_t>(i)]; }
  MatrixView<float> hidden() const override { return forward_.hidden(); }
  void Drop(int64_t i) override { fate_[static_cast<size_t>(i)] = kIsDropped; }
  void Finish(int64_t i) override {
    if (fate_[static_cast<size_t>(i)] == kGoesOn) fate_[static_cast<size_t>(i)] = kFinishes;
  }
  const std::vector<uint8_t>& fate() const { return fate_; }

 private:
  Forward& forward_;
  std::vector<uint8_t> fate_;
};

void Forward::CallHooks(Seam seam, int layer) {
  if (hooks_.empty() || active_.empty()) return;
  const OperatorTimer timer(times_, Operator::kOther);
  Rows rows(*this);
  for (RowHook* hook : hooks_) hook->After(seam, layer, rows);
  const std::vector<uint8_t>& fate = rows.fate();
  if (std::all_of(fate.begin(), fate.end(), [](uint8_t f) { return f == Rows::kGoesOn; })) return;
  const MatrixView<float> x = hidden();
  const size_t row_bytes = static_cast<size_t>(x.columns) * sizeof(float);
  const size_t half = static_cast<size_t>(config_.rope_dimensions);  // cos and sin of one row and base
  const size_t max_rows = scratch_.rope.size() / (2 * std::max<size_t>(half, 1));
  size_t kept = 0;
  for (size_t i = 0; i < fate.size(); ++i) {
    const int64_t batch_row = active_[i];
    if (fate[i] == Rows::kFinishes) {
      std::memcpy(scratch_.finished.row(batch_row), x.row(static_cast<int64_t>(i)), row_bytes);
      finished_[static_cast<size_t>(batch_row)] = 1;
    }
    if (fate[i] != Rows::kGoesOn) continue;
    if (kept != i) {
      std::memmove(x.row(static_cast<int64_t>(kept)), x.row(static_cast<int64_t>(i)), row_bytes);
      for (size_t base = 0; base < 2; ++base) {
        float* angles = scratch_.rope.data() + base * max_rows * half;
        std::copy_n(angles + i * half, half, angles + kept * half);
      }
    }
    active_[kept++] = batch_row;
  }
  active_.resize(kept);
  ListSequences();
}

void Forward::CheckFinite(int layer) {
  const OperatorTimer timer(times_, Operator::kOther);
  const MatrixView<float> x = hidden();
  std::atomic<int64_t> bad{-1};
  ForRows(rows(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (!AllFinite(x.row_span(i))) bad = i;
    }
  });
  if (bad < 0) return;
  Fail(Error{ErrorKind::kFailed,
             fmt::format("{}: {}: a value that is not finite (NaN or infinity) at position {}", model_.path(),
                         layer < 0 ? std::string("token_embd") : fmt::format("blk.{}", layer),
                         row(bad).position[0])});
}

void Forward::FinishAll() {
  const OperatorTimer timer(times_, Operator::kOther);
  const MatrixView<float> x = hidden();
  for (int64_t i = 0; i < rows(); ++i) {
    const int64_t batch_row = active_[static_cast<size_t>(i)];
    finished_[static_cast<size_t>(batch_row)] = 1;
    if (!row(i).logits) continue;
    std::memcpy(scratch_.finished.row(batch_row), x.row(i), static_cast<size_t>(x.columns) * sizeof(float));
  }
}

std::vector<int64_t> Forward::RowsForHead() const {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < batch_.rows.size(); ++i) {
    if (batch_.rows[i].logits && finished_[i] != 0) rows.push_back(static_cast<int64_t>(i));
  }
  return rows;
}

MatrixView<float> Forward::Gather(std::span<const int64_t> batch_rows) {
  const OperatorTimer timer(times_, Operator::kOther);
  const MatrixView<float> y = scratch_.hidden.slice_rows(0, static_cast<int64_t>(batch_rows.size()));
  for (size_t i = 0; i < batch_rows.size(); ++i) {
    std::memcpy(y.row(static_cast<int64_t>(i)), scratch_.finished.row(batch_rows[i]),
                static_cast<size_t>(y.columns) * sizeof(float));
  }
  return y;
}

}  // namespace hone
