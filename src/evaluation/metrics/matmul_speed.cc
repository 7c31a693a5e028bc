#include "evaluation/metrics/matmul_speed.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

namespace hone {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<MatmulSubject> MatmulSubject::Create(MemoryAccount& account, const WeightFormat& format, int64_t rows,
                                            int64_t columns, uint64_t bytes,
                                            std::span<const std::byte> file_rows) {
  MatmulSubject subject;
  const auto groups = static_cast<uint64_t>((rows + kRowGroup - 1) / kRowGroup);
  const auto group_bytes = static_cast<uint64_t>(format.GroupBytes(columns));
  subject.matrix_bytes_ = groups * group_bytes;
  subject.copies_ = std::max<uint64_t>(1, bytes / subject.matrix_bytes_);
  HONE_TRY(subject.weights_, Buffer::Allocate(account, subject.copies_ * subject.matrix_bytes_));
  // Small positive numbers whatever the type: the speed does not depend on values that are neither NaN nor
  // denormal.
  std::mt19937 random(1);
  std::vector<std::byte> file(file_rows.begin(), file_rows.end());
  if (file.empty()) {
    file.resize(static_cast<size_t>(kRowGroup * RowBytes(format.source(), columns)));
    for (std::byte& byte : file) byte = static_cast<std::byte>(random() & 0x3B);
  }
  std::byte* data = subject.weights_.data();
  format.PackGroup(file.data(), kRowGroup, columns, data);
  for (uint64_t i = 1; i < subject.copies_ * groups; ++i)
    std::memcpy(data + i * group_bytes, data, group_bytes);
  subject.matrix_ = {&format, rows, columns, data};
  return subject;
}

double MatmulSubject::Measure(ComputeShare& share, NumericMode mode, int64_t activation_rows,
                              const MatmulChoice& choice, double seconds) {
  const ActivationForm form = matrix_.format->form(mode);
  const int64_t columns = matrix_.columns;
  if (static_cast<int64_t>(values_.size()) < activation_rows * columns) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    values_.resize(static_cast<size_t>(activation_rows * columns));
    for (float& value : values_) value = normal(random);
  }
  prepared_.resize(static_cast<size_t>(PreparedBytes(form, activation_rows, columns)));
  Prepare(form, {values_.data(), activation_rows, columns}, 0, activation_rows, prepared_.data());
  result_.resize(static_cast<size_t>(activation_rows * matrix_.rows));
  MatmulTask product{matrix_, {form, activation_rows, columns, prepared_.data()}, 0,
                     0,       {result_.data(), activation_rows, matrix_.rows},    choice.kernel};
  CutProducts({&matrix_.rows, 1}, {&choice.rows_per_task, 1}, share.threads(), cuts_);
  int64_t products = 0;
  const double start = Seconds();
  double spent = 0.0;
  do {
    product.w.data = matrix_.data + next_++ % copies_ * matrix_bytes_;
    share.ParallelFor(static_cast<int64_t>(cuts_.size()), [&](int64_t i) {
      MatmulTask task = product;
      task.row_begin = cuts_[static_cast<size_t>(i)].begin;
      task.row_end = cuts_[static_cast<size_t>(i)].end;
      matrix_.format->Multiply(task);
    });
    ++products;
    spent = Seconds() - start;
  } while (spent < seconds);
  return spent / static_cast<double>(products);
}

}  // namespace hone
