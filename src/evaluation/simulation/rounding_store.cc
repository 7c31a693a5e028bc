#include "evaluation/simulation/rounding_store.h"

#include <vector>

#include "evaluation/simulation/group_rounding.h"

namespace hone {
namespace {

class RoundingStore : public KvStore {
 public:
  RoundingStore(std::unique_ptr<KvStore> inner, int bits, int64_t group)
      : inner_(std::move(inner)), bits_(bits), group_(group) {}

  const KvLayerShape& shape() const override { return inner_->shape(); }
  KvCapabilities capabilities() const override { return inner_->capabilities(); }
  bool wants_key_before_rope() const override { return inner_->wants_key_before_rope(); }
  int64_t entries() const override { return inner_->entries(); }
  std::span<const EntryRun> runs() const override { return inner_->runs(); }
  std::span<const KvTiles> tiles() const override { return inner_->tiles(); }

  void PagesFor(int64_t rows, std::vector<uint64_t>& sizes) const override { inner_->PagesFor(rows, sizes); }
  void GivePages(std::span<PageRef> pages) override { inner_->GivePages(pages); }
  Result<void> BeginAppend(std::span<const Position> positions, std::span<const int32_t> segments) override {
    return inner_->BeginAppend(positions, segments);
  }

  void WriteHead(int kv_head, const KvRows& rows) override {
    KvRows rounded = rows;
    std::vector<float> keys = Rounded(kv_head, rows.key, rounded.key);
    std::vector<float> values = Rounded(kv_head, rows.value, rounded.value);
    inner_->WriteHead(kv_head, rounded);
  }

  Result<void> CheckTruncate(int64_t entries) const override { return inner_->CheckTruncate(entries); }
  Result<void> Truncate(int64_t entries) override { return inner_->Truncate(entries); }
  std::unique_ptr<KvStore> Fork() const override { return MakeRoundingStore(inner_->Fork(), bits_, group_); }
  Result<void> Erase(int64_t begin, int64_t end) override { return inner_->Erase(begin, end); }
  Result<void> Read(int64_t begin, int64_t end, MatrixView<float> keys,
                    MatrixView<float> values) const override {
    return inner_->Read(begin, end, keys, values);
  }
  void PagesToReplace(int64_t begin, int64_t end, std::vector<uint64_t>& sizes) const override {
    inner_->PagesToReplace(begin, end, sizes);
  }
  Result<void> Replace(int64_t begin, int64_t end, MatrixView<const float> keys,
                       MatrixView<const float> values, std::span<PageRef> pages) override {
    return inner_->Replace(begin, end, keys, values, pages);
  }
  void Save(std::string& saved) const override { inner_->Save(saved); }
  Result<void> PagesToRestore(std::string_view saved, std::vector<uint64_t>& sizes) const override {
    return inner_->PagesToRestore(saved, sizes);
  }
  Result<void> Restore(std::string_view saved) override { return inner_->Restore(saved); }
  uint64_t bytes() const override { return inner_->bytes(); }

 private:
  // A copy of the rows with the head's columns rounded; `view` becomes it.
  std::vector<float> Rounded(int kv_head, MatrixView<const float> x, MatrixView<const float>& view) const {
    std::vector<float> copy(static_cast<size_t>(x.rows * x.columns));
    const auto head_dim = static_cast<int64_t>(shape().head_dim);
    const MatrixView<float> all(copy.data(), x.rows, x.columns);
    const MatrixView<float> own = all.slice_columns(kv_head * head_dim, head_dim);
    for (int64_t i = 0; i < x.rows; ++i) {
      std::copy_n(x.row(i) + kv_head * head_dim, head_dim, own.row(i));
      RoundAsymmetric(own.row_span(i), bits_, group_);
    }
    view = all;
    return copy;  // the view stays valid: the memory moves with the vector
  }

  std::unique_ptr<KvStore> inner_;
  int bits_;
  int64_t group_;
};

}  // namespace

std::unique_ptr<KvStore> MakeRoundingStore(std::unique_ptr<KvStore> inner, int bits, int64_t group) {
  return std::make_unique<RoundingStore>(std::move(inner), bits, group);
}

}  // namespace hone
