// Sinks and a window for each head. Cost: two comparisons a run of entries. Composes with every store; the
// store still keeps all entries (rings that let them go are a store of their own).
#include "language/kvcache/selectors.h"

namespace hone {
namespace {

class SinkWindowSelector : public KvSelector {
 public:
  explicit SinkWindowSelector(std::vector<std::vector<SinkWindow>> rules) : rules_(std::move(rules)) {}

  bool Selects(int layer) const override {
    if (layer >= static_cast<int>(rules_.size())) return false;
    for (const SinkWindow& rule : rules_[static_cast<size_t>(layer)]) {
      if (rule.window > 0) return true;
    }
    return false;
  }

  void Select(const KvQuery& query, int64_t, int kv_head, KvSelection& selection) override {
    const SinkWindow& rule = rules_[static_cast<size_t>(query.layer)][static_cast<size_t>(kv_head)];
    if (rule.window <= 0) return;
    selection.kind = KvSelectionKind::kArrow;
    selection.begin = 0;
    selection.end = rule.sinks;
    selection.before = rule.window - 1;
    selection.after = 0;
  }

 private:
  std::vector<std::vector<SinkWindow>> rules_;
};

}  // namespace

std::unique_ptr<KvSelector> MakeSinkWindowSelector(std::vector<std::vector<SinkWindow>> rules) {
  return std::make_unique<SinkWindowSelector>(std::move(rules));
}

}  // namespace hone
