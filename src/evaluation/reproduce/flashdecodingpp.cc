// FlashDecoding++ (arXiv 2311.01282): a softmax that needs no maximum of its row, products of few rows that
// read the weights once, and a table that chooses among three kernels by shape and rows. The softmax: softmax
// does not depend on the number that is subtracted, so one number found by calibration takes the place of the
// running maximum, with a guard and a recomputation of the rows that leave its range.
#include "evaluation/reproduce/flashdecodingpp_attention.h"
#include "evaluation/reproduce/flashdecodingpp_products.h"

namespace hone {

Result<void> ReproduceFlashDecodingPlusPlus(ExperimentContext& context, Report& report) {
  HONE_CHECK_OK(ReproduceFixedSoftmax(context, report));
  return ReproduceProducts(context, report);
}

}  // namespace hone
