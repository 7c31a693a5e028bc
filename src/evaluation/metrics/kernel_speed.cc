#include "evaluation/metrics/kernel_speed.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>

#include "core/kernels/elementwise.h"
#include "evaluation/metrics/attention_speed.h"
#include "evaluation/metrics/machine_probe.h"
#include "evaluation/metrics/matmul_speed.h"

namespace hone {
namespace {

constexpr uint64_t kStreamedBytes = 192 << 20;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The mean time of calls that last `seconds` together.
double MeanSeconds(double seconds, const std::function<void()>& call) {
  const double start = Seconds();
  int64_t calls = 0;
  double spent = 0.0;
  do {
    call();
    ++calls;
    spent = Seconds() - start;
  } while (spent < seconds);
  return spent / static_cast<double>(calls);
}

// Of matrices or caches: so many that each comes from memory, or one that stays in cache.
int CopiesFor(uint64_t bytes, bool streamed) {
  return streamed ? static_cast<int>(std::max<uint64_t>(1, kStreamedBytes / bytes)) : 1;
}

struct ProductPoint {
  int64_t rows, columns, activation_rows;
  bool streamed;
};
constexpr ProductPoint kProductPoints[] = {
    {4096, 4096, 1, true}, {4096, 4096, 8, true}, {1536, 1536, 512, false}};

// Matrices of the peers: plain numbers, in enough copies that they come from memory where hone's do.
class PeerSubject {
 public:
  PeerSubject(const PeerProducts& peers, const ProductPoint& point, bool floats)
      : peers_(peers), point_(point), floats_(floats) {
    const auto values = static_cast<size_t>(point.rows * point.columns);
    const size_t bytes = values * (floats ? 4 : 1);
    copies_ = point.streamed ? std::max<size_t>(1, kStreamedBytes / bytes) : 1;
    std::mt19937 random(3);
    const auto inputs = static_cast<size_t>(point.activation_rows * point.columns);
    const auto outputs = static_cast<size_t>(point.activation_rows * point.rows);
    if (floats) {
      weights_.resize(copies_ * values);
      for (float& w : weights_) w = static_cast<float>(random() % 15) - 7.0f;
      x_.assign(inputs, 0.5f);
      y_.resize(outputs);
    } else {
      byte_weights_.resize(copies_ * values);
      for (int8_t& w : byte_weights_) w = static_cast<int8_t>(random() % 15 - 7);
      byte_x_.assign(inputs, 3);
      int_y_.resize(outputs);
    }
  }

  double Measure(double seconds) {
    return MeanSeconds(seconds, [&] {
      const size_t at = next_++ % copies_ * static_cast<size_t>(point_.rows * point_.columns);
      if (floats_) {
        peers_.MultiplyFloats(point_.activation_rows, point_.rows, point_.columns, x_.data(),
                              weights_.data() + at, y_.data());
      } else {
        peers_.MultiplyBytes(point_.activation_rows, point_.rows, point_.columns, byte_x_.data(),
                             byte_weights_.data() + at, int_y_.data());
      }
    });
  }

 private:
  const PeerProducts& peers_;
  ProductPoint point_;
  bool floats_;
  size_t copies_ = 1, next_ = 0;
  std::vector<float> weights_, x_, y_;
  std::vector<int8_t> byte_weights_, byte_x_;
  std::vector<int32_t> int_y_;
};

class Bench {
 public:
  Bench(ComputeShare& share, MemoryAccount& account, const MachineLimits& limits, const PeerProducts& peers,
        const KernelSpeedOptions& options)
      : share_(share), account_(account), limits_(limits), peers_(peers), options_(options) {}

  Result<void> Product(const WeightFormat& format, const ProductPoint& point) {
    const ActivationForm form = format.form(NumericMode::kFast);
    HONE_TRY(MatmulSubject subject, MatmulSubject::Create(account_, format, point.rows, point.columns,
                                                          point.streamed ? kStreamedBytes : 0));
    const MatmulKey key{format.source(), form,          share_.threads(),
                        point.rows,      point.columns, point.activation_rows};
    const MatmulChoice choice = BuiltInMatmulChoice(key);
    const bool floats = form == ActivationForm::kFloat;
    // The peer of a format with 8-bit activations multiplies bytes with one scale; of the others, float32.
    const bool has_peer = floats ? peers_.has_floats() : peers_.has_bytes();
    std::unique_ptr<PeerSubject> peer;
    if (has_peer) peer = std::make_unique<PeerSubject>(peers_, point, floats);
    const uint64_t matrix_bytes =
        static_cast<uint64_t>(RowBytes(format.source(), point.columns) * point.rows);
    const int copies = CopiesFor(matrix_bytes, point.streamed);
    std::unique_ptr<PeerGgml::Graph> ggml;
    if (options_.ggml != nullptr) {
      ggml =
          options_.ggml->Products(format.source(), point.activation_rows, point.rows, point.columns, copies);
    }
    std::vector<double> own, theirs, ggmls;
    for (int round = 0; round < options_.rounds; ++round) {
      own.push_back(subject.Measure(share_, NumericMode::kFast, point.activation_rows, choice,
                                    options_.reading_seconds));
      if (peer) theirs.push_back(peer->Measure(options_.reading_seconds));
      if (ggml) ggmls.push_back(MeanSeconds(options_.reading_seconds, [&] { ggml->Run(); }) / copies);
    }
    KernelSpeed speed;
    speed.kernel = fmt::format("product {}, {}", Info(format.source()).name,
                               kMatmulKernelNames[static_cast<size_t>(choice.kernel)]);
    speed.shape = fmt::format("{} x {}, {} rows{}", point.rows, point.columns, point.activation_rows,
                              point.streamed ? ", from memory" : "");
    speed.seconds = Median(own);
    const double operations = 2.0 * static_cast<double>(point.rows * point.columns * point.activation_rows);
    if (point.activation_rows == 1) {
      Limit(speed, "memory", static_cast<double>(subject.matrix_bytes()), limits_.memory_bandwidth);
    } else if (floats) {
      Limit(speed, "fused multiply-adds", operations, limits_.float_operations);
    } else {
      Limit(speed, "byte dots", operations, limits_.byte_operations);
    }
    if (peer) {
      speed.peers.push_back({floats ? "OpenBLAS, float32" : "oneDNN, int8 without block scales",
                             Median(theirs) / speed.seconds});
    }
    if (ggml) speed.peers.push_back({"ggml", Median(ggmls) / speed.seconds});
    all_.push_back(std::move(speed));
    return {};
  }

  Result<void> AttentionOf(int64_t rows, int64_t entries) {
    const AttentionShape shape{9, 3, 64, 0.125f, {}};
    const bool decode = rows == 1;
    HONE_TRY(AttentionSubject subject, AttentionSubject::Create(account_, shape, TileFormat::kF16, entries,
                                                                decode ? kStreamedBytes : 0));
    const int copies = CopiesFor(subject.layer_bytes(), decode);
    std::unique_ptr<PeerGgml::Graph> ggml;
    if (options_.ggml != nullptr) ggml = options_.ggml->Attention(shape, rows, entries, copies);
    std::vector<double> seconds, ggmls;
    for (int round = 0; round < options_.rounds; ++round) {
      seconds.push_back(subject.Measure(share_, rows, options_.reading_seconds));
      if (ggml) ggmls.push_back(MeanSeconds(options_.reading_seconds, [&] { ggml->Run(); }) / copies);
    }
    KernelSpeed speed;
    if (ggml) speed.peers.push_back({"ggml", Median(ggmls) / Median(seconds)});
    speed.kernel = decode ? "attention f16, decode" : "attention f16, prompt";
    speed.shape = fmt::format("9 heads over 3, 64 wide, {} rows, {} entries", rows, entries);
    speed.seconds = Median(seconds);
    if (decode) {
      Limit(speed, "memory", static_cast<double>(subject.layer_bytes()), limits_.memory_bandwidth);
    } else {
      Limit(speed, "fused multiply-adds", subject.Operations(rows), limits_.float_operations);
    }
    all_.push_back(std::move(speed));
    return {};
  }

  // An operation on rows of 4096 values that reads and writes `bytes` of each.
  void Rows(const std::string& name, double bytes,
            const std::function<void(std::span<float> x, std::span<float> y)>& body) {
    constexpr size_t kColumns = 4096;
    constexpr int64_t kRows = 64;
    std::vector<float> x(kRows * kColumns, 0.5f), y(kRows * kColumns, 0.25f);
    const auto row = [&](std::vector<float>& all, int64_t i) {
      return std::span<float>(all).subspan(static_cast<size_t>(i) * kColumns, kColumns);
    };
    std::vector<double> seconds;
    for (int round = 0; round < options_.rounds; ++round) {
      seconds.push_back(MeanSeconds(options_.reading_seconds, [&] {
        share_.ParallelFor(kRows / 8, [&](int64_t task) {
          for (int64_t i = 8 * task; i < 8 * task + 8; ++i) body(row(x, i), row(y, i));
        });
      }));
    }
    KernelSpeed speed;
    speed.kernel = name;
    speed.shape = fmt::format("{} rows of {}, in cache", kRows, kColumns);
    speed.seconds = Median(seconds);
    Limit(speed, "cache", bytes * static_cast<double>(kRows * kColumns), limits_.cache_bandwidth);
    all_.push_back(std::move(speed));
  }

  std::vector<KernelSpeed> Take() { return std::move(all_); }

 private:
  static void Limit(KernelSpeed& speed, const char* limit, double amount, double at_most) {
    speed.limit = limit;
    speed.speed = amount / speed.seconds;
    speed.fraction = speed.speed / at_most;
  }

  ComputeShare& share_;
  MemoryAccount& account_;
  const MachineLimits& limits_;
  const PeerProducts& peers_;
  const KernelSpeedOptions& options_;
  std::vector<KernelSpeed> all_;
};

Result<std::vector<const WeightFormat*>> ChosenFormats(const std::vector<std::string>& names) {
  std::vector<const WeightFormat*> chosen;
  std::vector<std::string_view> known;
  for (const WeightFormat* format : WeightFormats()) known.push_back(Info(format->source()).name);
  for (const std::string& name : names) {
    const auto type = DTypeFromName(name);
    const WeightFormat* format = type ? FindWeightFormat(*type) : nullptr;
    if (format == nullptr)
      return WrongUsage("bench kernels: unknown weight format {}, expected {}", name, fmt::join(known, ", "));
    chosen.push_back(format);
  }
  if (names.empty()) chosen.assign(WeightFormats().begin(), WeightFormats().end());
  return chosen;
}

}  // namespace

Result<std::vector<KernelSpeed>> MeasureKernels(ComputeShare& share, MemoryAccount& account,
                                                const MachineLimits& limits, const PeerProducts& peers,
                                                const KernelSpeedOptions& options) {
  HONE_TRY(const std::vector<const WeightFormat*> formats, ChosenFormats(options.formats));
  Bench bench(share, account, limits, peers, options);
  const auto total = static_cast<int64_t>(formats.size() * std::size(kProductPoints)) + 6;
  int64_t done = 0;
  const auto step = [&]() -> Result<void> {
    return options.progress ? options.progress(done++, total) : Result<void>();
  };
  for (const WeightFormat* format : formats) {
    for (const ProductPoint& point : kProductPoints) {
      HONE_CHECK_OK(step());
      HONE_CHECK_OK(bench.Product(*format, point));
    }
  }
  HONE_CHECK_OK(step());
  HONE_CHECK_OK(bench.AttentionOf(512, 512));
  HONE_CHECK_OK(step());
  HONE_CHECK_OK(bench.AttentionOf(512, 8192));
  HONE_CHECK_OK(step());
  HONE_CHECK_OK(bench.AttentionOf(1, 8192));
  HONE_CHECK_OK(step());
  bench.Rows("root mean square norm", 12,
             [](std::span<float> x, std::span<float> y) { RmsNorm(x, x, 1e-5f, y); });
  HONE_CHECK_OK(step());
  bench.Rows("SiLU gate", 12, [](std::span<float> x, std::span<float> y) { SiluTimes(x, x, y); });
  HONE_CHECK_OK(step());
  bench.Rows("activations to 8 bits", 4 + 44.0 / 32, [](std::span<float> x, std::span<float> y) {
    Prepare(ActivationForm::kInt8, {x.data(), 1, static_cast<int64_t>(x.size())}, 0, 1,
            reinterpret_cast<std::byte*>(y.data()));
  });
  return bench.Take();
}

}  // namespace hone
