#include "language/models/weight_loader.h"

#include <algorithm>

#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

// Bytes of the file that are packed between two times that its pages are given back.
constexpr int64_t kSliceBytes = 8 << 20;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

WeightLoader::WeightLoader(const WeightSource& source, MemoryAccount& account, ComputeShare& share,
                           bool progress, const MixedTensors& mixed)
    : source_(source), account_(account), share_(share), mixed_(mixed) {
  if (progress)
    progress_ = std::make_unique<Progress>("loading", source.total_bytes(), Progress::Unit::kBytes);
}

Result<Linear> WeightLoader::Matrix(const std::string& name, int64_t rows, int64_t columns) {
  const std::string weight_name = name + ".weight";
  const FileTensor* tensor = source_.Find(weight_name);
  const std::string own_name = source_.OwnName(weight_name);
  if (tensor == nullptr)
    return BadInput(source_.path(), own_name, "no such tensor, expected [{}, {}]", rows, columns);
  if (tensor->shape != std::vector<int64_t>{rows, columns}) {
    return BadInput(source_.path(), own_name, "shape {}, expected [{}, {}]", ShapeText(tensor->shape), rows,
                    columns);
  }
  if (const auto mixed = mixed_.find(weight_name); mixed != mixed_.end())
    return MixedMatrix(name, rows, columns, mixed->second);
  const WeightFormat* format = FindWeightFormat(tensor->type);
  if (format == nullptr) {
    return BadInput(source_.path(), own_name, "type {}, which no kernel multiplies", Info(tensor->type).name);
  }

  const int64_t groups = (rows + kRowGroup - 1) / kRowGroup;
  const int64_t group_bytes = format->GroupBytes(columns);
  HONE_TRY(Buffer packed, Buffer::Allocate(account_, static_cast<uint64_t>(groups * group_bytes)));
  const int64_t row_bytes = RowBytes(tensor->type, columns);
  const std::byte* file_rows = tensor->bytes().data();
  const int64_t slice_groups = std::max<int64_t>(1, kSliceBytes / (kRowGroup * row_bytes));
  const int64_t task_groups = std::max<int64_t>(1, (128 << 10) / (kRowGroup * row_bytes));
  tensor->file->WillRead(tensor->offset, tensor->size);
  for (int64_t slice = 0; slice < groups; slice += slice_groups) {
    const int64_t slice_end = std::min(groups, slice + slice_groups);
    const int64_t tasks = (slice_end - slice + task_groups - 1) / task_groups;
    share_.ParallelFor(tasks, [&](int64_t task) {
      const int64_t begin = slice + task * task_groups;
      const int64_t end = std::min(slice_end, begin + task_groups);
      for (int64_t group = begin; group < end; ++group) {
        const int64_t first_row = group * kRowGroup;
        format->PackGroup(file_rows + first_row * row_bytes, std::min(kRowGroup, rows - first_row), columns,
                          packed.data() + group * group_bytes);
      }
    });
    const int64_t rows_done = std::min(rows, slice_end * kRowGroup) - slice * kRowGroup;
    tensor->file->Drop(tensor->offset + static_cast<uint64_t>(slice * kRowGroup * row_bytes),
                       static_cast<uint64_t>(rows_done * row_bytes));
    bytes_done_ += static_cast<uint64_t>(rows_done * row_bytes);
    if (progress_) progress_->Update(bytes_done_);
  }

  Linear linear;
  linear.name = name;
  linear.op = OperatorOfWeight(name);
  linear.weight = {format, rows, columns, packed.data()};
  weights_.push_back({name, linear.op, tensor->type, rows, columns, packed.size()});
  storage_.push_back(std::move(packed));
  HONE_TRY(linear.bias, OptionalVector(name + ".bias", rows));
  return linear;
}

Result<Linear> WeightLoader::MixedMatrix(const std::string& name, int64_t rows, int64_t columns,
                                         const MixedTensor& mixed) {
  const int64_t groups = (rows + kRowGroup - 1) / kRowGroup;
  if (mixed.layout.columns != columns || mixed.groups != groups) {
    return BadInput("plan", fmt::format("parts.{}.{}.weight", kMixedPart, name),
                    "{} groups of {} columns, expected {} of {}", mixed.groups, mixed.layout.columns, groups,
                    columns);
  }
  formats_.push_back(MakeMixedFormat(mixed.layout));
  const WeightFormat& format = *formats_.back();
  const int64_t group_bytes = format.GroupBytes(columns);
  HONE_TRY(Buffer packed, Buffer::Allocate(account_, static_cast<uint64_t>(groups * group_bytes)));
  for (int64_t group = 0; group < groups; ++group) {
    format.PackGroup(mixed.bytes.data() + group * mixed.layout.bytes(), kRowGroup, columns,
                     packed.data() + group * group_bytes);
  }
  mixed_used_.push_back(name + ".weight");
  Linear linear;
  linear.name = name;
  linear.op = OperatorOfWeight(name);
  linear.weight = {&format, rows, columns, packed.data()};
  weights_.push_back({name, linear.op, format.source(), rows, columns, packed.size()});
  storage_.push_back(std::move(packed));
  HONE_TRY(linear.bias, OptionalVector(name + ".bias", rows));
  return linear;
}

Result<void> WeightLoader::CheckAllUsed() const {
  for (const auto& [name, tensor] : mixed_) {
    if (std::find(mixed_used_.begin(), mixed_used_.end(), name) == mixed_used_.end())
      return BadInput("plan", fmt::format("parts.{}.{}", kMixedPart, name), "{} has no such matrix",
                      source_.path());
  }
  return {};
}

Result<std::vector<float>> WeightLoader::Vector(const std::string& name, int64_t size, float offset) {
  const FileTensor* tensor = source_.Find(name);
  const std::string own_name = source_.OwnName(name);
  if (tensor == nullptr) return BadInput(source_.path(), own_name, "no such tensor, expected [{}]", size);
  if (tensor->rows() != 1 || tensor->columns() != size) {
    return BadInput(source_.path(), own_name, "shape {}, expected [{}]", ShapeText(tensor->shape), size);
  }
  if (FindWeightFormat(tensor->type) == nullptr) {
    return BadInput(source_.path(), own_name, "type {}, expected numbers", Info(tensor->type).name);
  }
  std::vector<float> values(static_cast<size_t>(size));
  Dequantize(tensor->type, tensor->bytes().data(), size, values.data());
  weights_.push_back({name, OperatorOfWeight(name), tensor->type, 1, size, values.size() * sizeof(float)});
  if (offset != 0.0f) {
    for (float& value : values) value += offset;
  }
  return values;
}

Result<std::vector<float>> WeightLoader::OptionalVector(const std::string& name, int64_t size, float offset) {
  if (!Has(name)) return std::vector<float>{};
  return Vector(name, size, offset);
}

}  // namespace hone
