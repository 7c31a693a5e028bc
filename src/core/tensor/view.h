// Non-owning views of numbers in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hone {

// [rows, columns], row-major; `stride` is the distance between rows in elements.
template <class T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;

  MatrixView() = default;
  MatrixView(T* d, int64_t r, int64_t c) : MatrixView(d, r, c, c) {}
  MatrixView(T* d, int64_t r, int64_t c, int64_t s) : data(d), rows(r), columns(c), stride(s) {}

  T* row(int64_t i) const { return data + i * stride; }
  std::span<T> row_span(int64_t i) const { return {row(i), static_cast<size_t>(columns)}; }
  MatrixView slice_rows(int64_t begin, int64_t count) const { return {row(begin), count, columns, stride}; }
  MatrixView slice_columns(int64_t begin, int64_t count) const { return {data + begin, rows, count, stride}; }
  operator MatrixView<const T>() const { return {data, rows, columns, stride}; }  // NOLINT(google-explicit-constructor)
};

}  // namespace hone
