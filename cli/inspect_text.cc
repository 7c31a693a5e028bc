#include "cli/inspect_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/printable.h"
#include "core/base/progress.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kValueWidth = 70;

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// At most `width` bytes, cut between two characters.
std::string Shortened(std::string text, size_t width) {
  if (text.size() <= width) return text;
  size_t end = width - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string ValueText(const Json& value) {
  if (value.is_object() && value.contains("array")) {
    const std::string head =
        fmt::format("{} x {}", value["count"].get<uint64_t>(), value["array"].get<std::string>());
    return value.contains("first") ? Shortened(head + ": " + Dump(value["first"]), kValueWidth) : head;
  }
  return Shortened(Dump(value), kValueWidth);
}

using Table = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell, two spaces apart, the last one free.
std::string TableText(const Table& table) {
  std::vector<size_t> widths;
  for (const auto& row : table) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : table) {
    text += " ";
    for (size_t i = 0; i < row.size(); ++i) {
      text += i + 1 < row.size() ? fmt::format(" {:<{}} ", row[i], widths[i]) : " " + row[i];
    }
    text += "\n";
  }
  return text;
}

std::string ShapeText(const Json& shape) {
  std::string text;
  for (const Json& size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size.get<int64_t>());
  return text.empty() ? "1" : text;
}

std::string SumText(const Json& sum) {
  return fmt::format("{} tensors, {} weights, {}, {:.3f} bits a weight", sum["tensors"].get<int64_t>(),
                     sum["parameters"].get<int64_t>(), ReadableSize(sum["bytes"].get<uint64_t>()),
                     sum["bits_per_weight"].get<double>());
}

}  // namespace

std::string InspectText(const Json& report) {
  std::string text =
      fmt::format("{}: {}", report["file"].get<std::string>(), report["format"].get<std::string>());
  if (report.contains("version")) text += fmt::format(" version {}", report["version"].get<int>());
  if (report["architecture"].is_string()) {
    text += fmt::format(", architecture {}", Printable(report["architecture"].get<std::string>()));
  }
  text += fmt::format(", {}\n", ReadableSize(report["file_bytes"].get<uint64_t>()));
  if (report["files"].size() > 1) {
    for (const Json& file : report["files"]) {
      text += fmt::format("  {}  {}\n", file["path"].get<std::string>(),
                          ReadableSize(file["bytes"].get<uint64_t>()));
    }
  }

  Table metadata;
  for (const auto& [key, value] : report["metadata"].items())
    metadata.push_back({Printable(key), ValueText(value)});
  text += fmt::format("\nMetadata ({} keys)\n{}", metadata.size(), TableText(metadata));

  Table tensors;
  for (const Json& tensor : report["tensors"]) {
    tensors.push_back({Printable(tensor["name"].get<std::string>()), tensor["type"].get<std::string>(),
                       ShapeText(tensor["shape"]), ReadableSize(tensor["bytes"].get<uint64_t>())});
  }
  text += fmt::format("\nTensors ({})\n{}", tensors.size(), TableText(tensors));

  Table sums;
  if (report.contains("types")) {
    for (const auto& [type, sum] : report["types"].items()) sums.push_back({type, SumText(sum)});
  }
  sums.push_back({"all", SumText(report["total"])});
  text += "\nTypes\n" + TableText(sums);
  if (report.contains("kv_bytes_per_token") && report["kv_bytes_per_token"].is_number()) {
    const auto bytes = report["kv_bytes_per_token"].get<int64_t>();
    const auto past = report["kv_bytes_per_token_past_window"].get<int64_t>();
    text += fmt::format("\nKV cache: {} bytes a token (fp16)", bytes);
    if (past != bytes) text += fmt::format(", {} once the sliding windows are full", past);
    text += fmt::format(", context {} tokens\n", report["context"].get<int64_t>());
  }
  return text;
}

}  // namespace hone
