// What the matrices of a model are multiplied with on a calibration text: per column the mean square and the
// largest magnitude, and where asked all second moments X^T X. One pass serves every method of quantization.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "language/models/runner.h"

namespace hone {

// The four inputs that the matrices of a layer share.
enum class LayerInput : uint8_t { kMixer, kAttended, kMlp, kDown };
inline constexpr int kLayerInputs = 4;

struct MatrixInput {
  int layer = 0;
  LayerInput input = LayerInput::kMixer;
};
// Of the matrix with this name: "blk.3.ffn_down.weight" or "blk.3.ffn_down". nullopt: it lies in no layer.
std::optional<MatrixInput> InputOfMatrix(std::string_view name);

// How much a row counts, by RowTag (prompt, answer, image, audio).
using TagWeights = std::array<float, 4>;
inline constexpr TagWeights kEveryRow = {1.0f, 1.0f, 1.0f, 1.0f};

struct InputMoments {
  double rows = 0.0;            // sum of the weights of the rows
  std::vector<double> squares;  // [columns] weighted sum of x^2
  std::vector<float> largest;   // [columns] max |x| over rows of any weight above 0
  std::vector<float> second;    // [columns, columns] weighted X^T X, or empty

  std::vector<float> MeanSquares() const;
};
using LayerMoments = std::array<InputMoments, kLayerInputs>;

// A piece of text: its tokens, what each row is (empty: all prompt), and where it begins in the text.
struct CalibrationWindow {
  std::vector<TokenId> tokens;
  std::vector<RowTag> tags;
  int64_t first_token = 0;
};

// Up to `count` windows of `size` tokens, evenly spread over the text, each begun with BOS where the model's
// tokenizer asks for it. A text of fewer than kLeastWindows windows is refused with the tokens it has.
inline constexpr int64_t kLeastWindows = 4;
Result<std::vector<CalibrationWindow>> CutCalibrationText(const Model& model, std::string_view text,
                                                          const std::string& text_name, int64_t size,
                                                          int64_t count);

struct MomentOptions {
  TagWeights tags = kEveryRow;
  std::function<void(int64_t done, int64_t total)> progress;  // in windows
  const std::atomic<bool>* cancel = nullptr;
};

// The moments of all layers without second ones: some floats a column. The first value that is not finite is
// an error that names the layer's input and the position in the text.
Result<std::vector<LayerMoments>> CollectMoments(Runner& runner, Engine& engine,
                                                 std::span<const CalibrationWindow> windows,
                                                 const MomentOptions& options = {});

// One layer after the other, with all second moments: memory holds those of one layer and the hidden states
// of all windows, [tokens, width] float32.
class LayerByLayer {
 public:
  LayerByLayer(Runner& runner, Engine& engine, std::vector<CalibrationWindow> windows,
               MomentOptions options = {});
  ~LayerByLayer();

  // Layers in any order; going back starts again from the embedding. The result lives until the next call.
  Result<const LayerMoments*> Moments(int layer);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
