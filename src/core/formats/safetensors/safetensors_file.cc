#include "core/formats/safetensors/safetensors_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/base/printable.h"

namespace hone {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLongestHeader = 100'000'000;  // of the reference reader
constexpr size_t kMostTensors = 1 << 18;
constexpr size_t kMostDimensions = 8;

std::optional<DType> TypeOf(std::string_view name) {
  static constexpr std::array kTypes = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,
                                        DType::kI8,  DType::kI16, DType::kI32,  DType::kI64};
  for (const DType type : kTypes) {
    if (Info(type).name == name) return type;
  }
  return std::nullopt;
}

// The header as it is being read, without a tree of it: names at depth 1, fields at depth 2, lists at
// depth 3.
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  HeaderReader(SafetensorsFile& result, uint64_t data_begin)
      : result_(result), path_(result.file->path()), data_begin_(data_begin) {}

  bool null() { return Unexpected("null"); }
  bool boolean(bool) { return Unexpected("a bool"); }
  bool number_integer(number_integer_t value) { return Unexpected(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) { return Unexpected(Printable(text)); }
  bool binary(binary_t&) { return Unexpected("bytes"); }

  bool number_unsigned(number_unsigned_t value) {
    if (list_ == nullptr) return Unexpected(fmt::format("{}", value));
    if (list_->size() == kMostDimensions) {
      return Wrong(name_, fmt::format("{}: more than {} numbers", field_, kMostDimensions));
    }
    list_->push_back(value);
    return true;
  }

  bool string(string_t& text) {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || field_ != "dtype") return Unexpected("a string");
    type_ = TypeOf(text);
    if (type_) return true;
    return Wrong(name_,
                 fmt::format("dtype {}, expected F32, F16, BF16, F64, I8, I16, I32 or I64", Printable(text)));
  }

  bool start_object(size_t) {
    if (depth_ == 2 || list_ != nullptr) return Unexpected("an object");
    ++depth_;
    return true;
  }

  bool key(string_t& name) {
    if (depth_ == 2) {
      field_ = name;
      if (in_metadata_) return true;
      if (name != "dtype" && name != "shape" && name != "data_offsets") {
        return Wrong(name_,
                     fmt::format("field \"{}\", expected dtype, shape and data_offsets", Printable(name)));
      }
      if (std::ranges::find(fields_, name) == fields_.end()) {
        fields_.push_back(name);
        return true;
      }
      return Wrong(name_, fmt::format("{} found twice, expected once", name));
    }
    name_ = name;
    in_metadata_ = name == "__metadata__";
    fields_.clear();
    shape_.clear();
    offsets_.clear();
    if (!names_.insert(name).second) return Wrong(name, "a second tensor of this name, expected one");
    if (names_.size() > kMostTensors)
      return Wrong("header", fmt::format("more than {} tensors", kMostTensors));
    return !name.empty() || Wrong("header", "a tensor without a name, expected at least one byte");
  }

  bool end_object() {
    --depth_;
    return depth_ == 0 || in_metadata_ || AddTensor();
  }

  bool start_array(size_t) {
    if (depth_ != 2 || list_ != nullptr || in_metadata_ || field_ == "dtype") return Unexpected("a list");
    list_ = field_ == "shape" ? &shape_ : &offsets_;
    return true;
  }

  bool end_array() {
    list_ = nullptr;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    return Wrong("header", fmt::format("malformed JSON at byte {} of it", position));
  }

  Error error() const {
    return {ErrorKind::kBadInput, fmt::format("{}: {}: {}", path_, field_of_error_, error_)};
  }

 private:
  bool Wrong(std::string_view field, std::string error) {
    field_of_error_ = Printable(field);
    error_ = std::move(error);
    return false;
  }

  bool Unexpected(std::string_view found) {
    if (depth_ == 0) return Wrong("header", fmt::format("found {}, expected an object", found));
    if (depth_ == 1) return Wrong(name_, fmt::format("found {}, expected an object", found));
    std::string_view wanted = "a string";
    if (!in_metadata_ && field_ != "dtype") wanted = "a list of integers from 0 on";
    return Wrong(name_, fmt::format("{}: found {}, expected {}", Printable(field_), found, wanted));
  }

  bool AddTensor() {
    if (fields_.size() != 3)
      return Wrong(name_, "expected dtype, shape and data_offsets, one of them is absent");
    if (offsets_.size() != 2)
      return Wrong(name_, fmt::format("data_offsets has {} numbers, expected 2", offsets_.size()));
    FileTensor tensor;
    constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
    uint64_t size = static_cast<uint64_t>(Info(*type_).bytes);
    for (const uint64_t length : shape_) {
      if (length == 0) return Wrong(name_, "a dimension of 0, expected at least 1");
      if (__builtin_mul_overflow(size, length, &size) || size > kMost) {
        return Wrong(name_, "its shape multiplies to more than 2^63 bytes");
      }
      tensor.shape.push_back(static_cast<int64_t>(length));
    }
    if (offsets_[0] > offsets_[1] || offsets_[1] - offsets_[0] != size) {
      return Wrong(name_, fmt::format("data_offsets {} to {}, but its shape and {} take {} bytes",
                                      offsets_[0], offsets_[1], Info(*type_).name, size));
    }
    if (offsets_[1] > kMost)
      return Wrong(name_, fmt::format("data_offsets end at {}, expected less", offsets_[1]));
    tensor.name = name_;
    tensor.type = *type_;
    tensor.file = result_.file.get();
    tensor.offset = data_begin_ + offsets_[0];
    tensor.size = size;
    result_.tensors.push_back(std::move(tensor));
    return true;
  }

  SafetensorsFile& result_;
  const std::string& path_;
  uint64_t data_begin_;
  int depth_ = 0;
  std::unordered_set<std::string> names_;
  // of the tensor that is being read
  std::string name_;
  bool in_metadata_ = false;
  std::string field_;
  std::vector<std::string> fields_;
  std::optional<DType> type_;
  std::vector<uint64_t> shape_, offsets_;
  std::vector<uint64_t>* list_ = nullptr;
  std::string field_of_error_, error_;
};

// The tensors lie one behind the other, from the header's end to the file's.
Result<void> CheckLayout(SafetensorsFile& result, uint64_t data_begin) {
  const std::string& path = result.file->path();
  const uint64_t file_end = result.file->bytes().size();
  uint64_t announced = data_begin;
  for (const FileTensor& tensor : result.tensors)
    announced = std::max(announced, tensor.offset + tensor.size);
  if (announced > file_end) {
    return BadInput(path, "file", "it announces {} bytes and {} tensors, {} bytes are there: cut short",
                    announced, result.tensors.size(), file_end);
  }
  std::ranges::sort(result.tensors, {}, &FileTensor::offset);
  uint64_t end = data_begin;
  for (const FileTensor& tensor : result.tensors) {
    if (tensor.offset != end) {
      return BadInput(path, Printable(tensor.name),
                      "begins at byte {}, expected {}, where the tensor before it ends",
                      tensor.offset - data_begin, end - data_begin);
    }
    end += tensor.size;
  }
  if (end != file_end) {
    return BadInput(path, "file", "{} bytes behind the last tensor, expected none", file_end - end);
  }
  return {};
}

}  // namespace

Result<SafetensorsFile> ReadSafetensorsFile(const std::string& path) {
  SafetensorsFile result;
  HONE_TRY(MappedFile file, MappedFile::Open(path));
  result.file = std::make_unique<MappedFile>(std::move(file));
  const auto bytes = result.file->bytes();
  uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    return BadInput(path, "file", "{} bytes, expected a safetensors file of at least 10", bytes.size());
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > bytes.size() - kLengthBytes || length > kLongestHeader) {
    return BadInput(path, "header length", "found {} in a file of {} bytes, expected at most {}", length,
                    bytes.size(), std::min<uint64_t>(bytes.size() - kLengthBytes, kLongestHeader));
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (!header.starts_with('{')) {
    return BadInput(path, "header", "begins with \"{}\", expected an object {{...}}",
                    Printable(header.substr(0, 8)));
  }
  HeaderReader reader(result, kLengthBytes + length);
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader))
    return tl::unexpected(reader.error());
  HONE_CHECK_OK(CheckLayout(result, kLengthBytes + length));
  return result;
}

}  // namespace hone
