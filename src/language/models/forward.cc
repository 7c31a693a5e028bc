#include "language/models/forward.h"

#include <algorithm>
#include <numeric>

namespace hone {
namespace {

// Up to here writing to the caches is cheaper on the calling thread than a fork.
constexpr int64_t kInlineRows = 4;

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
  const auto matrix = [&](int64_t columns) {
    return MatrixView<float>(reinterpret_cast<float*>(take(rows * columns * 4)), rows, columns);
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
  const int64_t widest = std::max<int64_t>({config.width, attended, config.feed_forward});
  for (const ActivationForm form : {ActivationForm::kFloat, ActivationForm::kInt8}) {
    const int64_t bytes = PreparedBytes(form, rows, widest);
    views.prepared[static_cast<size_t>(form)] = {take(bytes), static_cast<size_t>(bytes)};
  }
  const int64_t angles = rows * config.rope_dimensions * 2;  // cos and sin, global and local
  views.rope = {reinterpret_cast<float*>(take(angles * 4)), static_cast<size_t>(angles)};
  if (scratch != nullptr) *scratch = views;
  return used;
}

Forward::Forward(const Model& model, const Batch& batch, NumericMode mode, const DeviceKernels& kernels,
                 ComputeShare& share, const MatmulTable& matmul_table, ForwardScratch& scratch,
                 MemoryAccount& scratch_account, Buffer& attention_scratch, std::span<RowHook* const> hooks,
                 std::span<Observer* const> observers, OperatorTimes* times)
    : model_(model),
      config_(model.config()),
      batch_(batch),
      mode_(mode),
      kernels_(kernels),
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

void Forward::LookUp(const Linear& embedding, float scale) {
  const OperatorTimer timer(times_, Operator::kEmbedding);
  const MatrixView<float> y = hidden();
  std::vector<int64_t> ids(active_.size());
  for (int64_t i = 0; i < rows(); ++i) {
    const float* given = row(i).embedding;
    ids[static_cast<size_t>(i)] = given == nullptr ? row(i).token : -1;
    if (given != nullptr) std::copy_n(given, y.columns, y.row(i));
  }
  kernels_.ReadRows(share_, embedding.weight, ids, scale, y);
}

MatrixView<float> Forward::Norm(MatrixView<const float> x, std::span<const float> weight) {
  const OperatorTimer timer(times_, Operator::kNorm);
  const MatrixView<float> y = scratch_.normed.slice_rows(0, x.rows);
  kernels_.Norm(share_, x, weight, config_.norm_epsilon, y);
  return y;
}

void Forward::NormInPlace(MatrixView<float> x, std::span<const float> weight) {
  const OperatorTimer timer(times_, Operator::kNorm);
  kernels_.Norm(share_, x, weight, config_.norm_epsilon, x);
}

// The product of x with the target's matrix; `prepared` keeps what it is multiplied with, by form.
Product Forward::Prepare(MatrixView<const float> x, const Target& target,
                         std::array<Activations, 2>& prepared) {
  const PackedMatrix& w = target.linear->weight;
  const ActivationForm form = w.format->form(mode_);
  Activations& activations = prepared[static_cast<size_t>(form)];
  if (activations.data == nullptr) {
    std::byte* data = scratch_.prepared[static_cast<size_t>(form)].data();
    kernels_.Prepare(share_, form, x, data);
    activations = {form, x.rows, x.columns, data};
  }
  return {w, activations, target.linear->bias, target.y,
          matmul_table_.Choose({w.format->source(), form, share_.threads(), w.rows, w.columns, x.rows})};
}

void Forward::MultiplyAll(MatrixView<const float> x, std::span<const Target> targets) {
  if (x.rows == 0) return;
  const OperatorTimer timer(times_, targets.front().linear->op);
  std::array<Activations, 2> prepared;
  std::array<Product, kMostProducts> products;
  for (size_t i = 0; i < targets.size(); ++i) products[i] = Prepare(x, targets[i], prepared);
  kernels_.Multiply(share_, {products.data(), targets.size()});
}

void Forward::Multiply(MatrixView<const float> x, const Linear& linear, MatrixView<float> y) {
  const Target target{&linear, y};
  MultiplyAll(x, {&target, 1});
}

void Forward::MultiplyRows(MatrixView<const float> x, const Linear& linear, std::span<const TokenId> ids,
                           MatrixView<float> y) {
  const OperatorTimer timer(times_, linear.op);
  std::array<Activations, 2> prepared;
  kernels_.MultiplyRows(share_, Prepare(x, {&linear, y}, prepared), ids);
}

Forward::QueryKeyValue Forward::ProjectQueryKeyValue(MatrixView<const float> x, const Linear& query,
                                                     const Linear& key, const Linear& value) {
  const MatrixView<float> all = scratch_.query.slice_rows(0, x.rows);
  const int64_t q = static_cast<int64_t>(config_.heads) * config_.head_dim;
  const int64_t kv = static_cast<int64_t>(config_.kv_heads) * config_.head_dim;
  QueryKeyValue out{all.slice_columns(0, q), all.slice_columns(q, kv), all.slice_columns(q + kv, kv)};
  const Target targets[] = {{&query, out.query}, {&key, out.key}, {&value, out.value}};
  MultiplyAll(x, targets);
  return out;
}

Forward::QueryKeyValue Forward::ProjectQueryKeyValue(MatrixView<const float> x, const Linear& fused) {
  const MatrixView<float> all = scratch_.query.slice_rows(0, x.rows);
  const int64_t q = static_cast<int64_t>(config_.heads) * config_.head_dim;
  const int64_t kv = static_cast<int64_t>(config_.kv_heads) * config_.head_dim;
  Multiply(x, fused, all);
  return {all.slice_columns(0, q), all.slice_columns(q, kv), all.slice_columns(q + kv, kv)};
}

Forward::GateUp Forward::ProjectGateUp(MatrixView<const float> x, const Linear& gate, const Linear& up) {
  const MatrixView<float> all = scratch_.gated.slice_rows(0, x.rows);
  GateUp out{all.slice_columns(0, config_.feed_forward),
             all.slice_columns(config_.feed_forward, config_.feed_forward)};
  const Target targets[] = {{&gate, out.gate}, {&up, out.up}};
  MultiplyAll(x, targets);
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
    ForRows(share_, static_cast<int64_t>(sequences_[s].rows.size()), [&](int64_t begin, int64_t end) {
      for (int64_t i = first + begin; i < first + end; ++i) {
        fill(frequencies, i, global);
        fill(model_.rope().local, i, local);
      }
    });
  }
}

void Forward::Rotate(RopeKind kind, const QueryKeyValue& qkv) {
  const OperatorTimer timer(times_, Operator::kRope);
  const RopePairs layout = config_.rope_neighbours ? RopePairs::kNeighbours : RopePairs::kHalves;
  float* data = scratch_.rope.data() + (kind == RopeKind::kLocal ? scratch_.rope.size() / 2 : 0);
  const MatrixView<float> angles(data, rows(), config_.rope_dimensions);
  kernels_.Rotate(share_, layout, angles, config_.head_dim, qkv.query);
  kernels_.Rotate(share_, layout, angles, config_.head_dim, qkv.key);
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
  AppendToCaches(layer, mixer_input, qkv);
  if (!error_) AttendToCaches(layer, qkv.query, output);
  if (!error_) Observe(Tensor::kAttended, layer, output);
  return output;
}

void Forward::AttendToCaches(int layer, MatrixView<const float> query, MatrixView<float> output) {
  const OperatorTimer timer(times_, Operator::kAttention);
  std::vector<AttentionItem> items(sequences_.size());
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const ActiveSequence& active = sequences_[s];
    items[s] = {active.first, static_cast<int64_t>(active.rows.size()),
                batch_.sequences[s].cache->layer(layer).tiles(), Views(layer, s, query)};
  }
  if (error_) return;
  AttentionShape shape{config_.heads, config_.kv_heads, config_.head_dim, config_.attention_scale, {}};
  if (!softmax_.empty()) shape.softmax = softmax_[static_cast<size_t>(layer)];
  const auto bytes = static_cast<uint64_t>(AttentionScratchBytes(shape, items));
  if (attention_scratch_.size() < bytes) {
    attention_scratch_.Reset();
    auto larger = Buffer::Allocate(scratch_account_, bytes + bytes / 4);
    if (!larger) return Fail(std::move(larger).error());
    attention_scratch_ = std::move(*larger);
  }
  kernels_.Attend(share_, shape, items, query, output, attention_scratch_.bytes(),
                  &counters_[static_cast<size_t>(layer)]);
}

MatrixView<float> Forward::Gate(GateActivation activation, int layer, const GateUp& gate_up) {
  {
    const OperatorTimer timer(times_, Operator::kActivation);
    kernels_.Gate(share_, activation, gate_up.gate, gate_up.up);
  }
  Observe(Tensor::kActivation, layer, gate_up.gate);
  return gate_up.gate;
}

void Forward::AddToHidden(MatrixView<const float> x) {
  const OperatorTimer timer(times_, Operator::kOther);
  kernels_.Add(share_, x, hidden());
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
  const size_t half = static_cast<size_t>(config_.rope_dimensions);  // cos and sin of one row and base
  std::vector<int64_t> finishing, finished, going;
  for (size_t i = 0; i < fate.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    if (fate[i] == Rows::kFinishes) {
      finishing.push_back(at);
      finished.push_back(active_[i]);
      finished_[static_cast<size_t>(active_[i])] = 1;
    }
    if (fate[i] == Rows::kGoesOn) going.push_back(at);
  }
  kernels_.CopyRows(hidden(), finishing, scratch_.finished, finished);
  std::vector<int64_t> places(going.size());
  std::iota(places.begin(), places.end(), 0);
  kernels_.CopyRows(hidden(), going, hidden(), places);
  for (size_t base = 0; base < 2; ++base) {
    float* angles = scratch_.rope.data() + base * scratch_.rope.size() / 2;
    for (size_t i = 0; i < going.size(); ++i) {
      std::copy_n(angles + static_cast<size_t>(going[i]) * half, half, angles + i * half);
    }
  }
  for (size_t i = 0; i < going.size(); ++i) active_[i] = active_[static_cast<size_t>(going[i])];
  active_.resize(going.size());
  ListSequences();
}

void Forward::CheckFinite(int layer) {
  const OperatorTimer timer(times_, Operator::kOther);
  const int64_t bad = kernels_.FindNotFinite(share_, hidden());
  if (bad < 0) return;
  Fail(Error{ErrorKind::kFailed,
             fmt::format("{}: {}: a value that is not finite (NaN or infinity) at position {}", model_.path(),
                         layer < 0 ? std::string("token_embd") : fmt::format("blk.{}", layer),
                         row(bad).position[0])});
}

void Forward::FinishAll() {
  const OperatorTimer timer(times_, Operator::kOther);
  std::vector<int64_t> from, to;
  for (int64_t i = 0; i < rows(); ++i) {
    const int64_t batch_row = active_[static_cast<size_t>(i)];
    finished_[static_cast<size_t>(batch_row)] = 1;
    if (!row(i).logits) continue;
    from.push_back(i);
    to.push_back(batch_row);
  }
  kernels_.CopyRows(hidden(), from, scratch_.finished, to);
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
  std::vector<int64_t> places(batch_rows.size());
  std::iota(places.begin(), places.end(), 0);
  kernels_.CopyRows(scratch_.finished, batch_rows, y, places);
  return y;
}

}  // namespace hone
