// Given entries for each head: the seam that retrieval methods fill step by step. Scattered entries cost the
// scores of each tile that holds one, and the values of themselves alone.
#include <algorithm>

#include "language/kvcache/selectors.h"

namespace hone {
namespace {

class EntryListSelector : public KvSelector {
 public:
  explicit EntryListSelector(std::vector<std::vector<std::vector<int32_t>>> lists)
      : lists_(std::move(lists)) {}

  bool Selects(int layer) const override { return layer < static_cast<int>(lists_.size()); }

  void Select(const KvQuery& query, int64_t row, int kv_head, KvSelection& selection) override {
    const auto& list = lists_[static_cast<size_t>(query.layer)][static_cast<size_t>(kv_head)];
    const auto own = static_cast<int32_t>(query.entry(row));
    const auto at = std::lower_bound(list.begin(), list.end(), own);
    selection.kind = KvSelectionKind::kEntries;
    selection.list.assign(list.begin(), at);
    selection.list.push_back(own);
    selection.list.insert(selection.list.end(), at != list.end() && *at == own ? at + 1 : at, list.end());
  }

 private:
  std::vector<std::vector<std::vector<int32_t>>> lists_;
};

}  // namespace

std::unique_ptr<KvSelector> MakeEntryListSelector(std::vector<std::vector<std::vector<int32_t>>> lists) {
  return std::make_unique<EntryListSelector>(std::move(lists));
}

}  // namespace hone
