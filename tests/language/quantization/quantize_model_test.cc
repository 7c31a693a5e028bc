#include "language/quantization/quantize_model.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/random_model.h"
#include "core/kernels/reference/dequantize.h"
#include "scratch_folder.h"

namespace hone {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

size_t FilesIn(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

QuantizeOptions Options(std::string_view type) {
  QuantizeOptions options;
  options.mix = *FindTypeMix(type);
  return options;
}

Result<QuantizeReport> Quantize(const std::string& from, const QuantizeOptions& options,
                                const std::string& to, int threads = 2) {
  HONE_TRY(const auto source, OpenModelSource(from));
  ComputePool pool(threads);
  const auto share = pool.MakeShare();
  return QuantizeModel(*source, options, to, *share);
}

std::vector<float> Values(const FileTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  Dequantize(tensor.type, tensor.bytes().data(), tensor.elements(), values.data());
  return values;
}

class QuantizeModelTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF16, 3, from_));
    folder_size_ = FilesIn(folder_.path());
  }
  ScratchFolder folder_;
  std::string from_ = folder_.Path("f16.gguf");
  std::string to_ = folder_.Path("out.gguf");
  size_t folder_size_ = 0;
};

TEST_F(QuantizeModelTest, WritesEveryTypeCloseToTheSource) {
  // The relative error of nearly Gaussian weights, root mean square.
  const std::pair<const char*, double> kTypes[] = {
      {"Q4_0", 0.10},    {"Q4_1", 0.09},    {"Q5_0", 0.05},    {"Q5_1", 0.045}, {"Q8_0", 0.007},
      {"Q2_K", 0.35},    {"Q3_K_S", 0.21},  {"Q3_K_M", 0.2},   {"Q3_K_L", 0.2}, {"Q4_K_S", 0.09},
      {"Q4_K_M", 0.09},  {"Q5_K_S", 0.045}, {"Q5_K_M", 0.045}, {"Q6_K", 0.025}, {"IQ4_NL", 0.095},
      {"IQ4_XS", 0.095}, {"F16", 0.0},      {"BF16", 0.004},   {"F32", 0.0}};
  const GgufFile from = *GgufFile::Open(from_);
  for (const auto& [name, most] : kTypes) {
    const auto report = Quantize(from_, Options(name), to_);
    ASSERT_TRUE(report) << name << ": " << report.error().message;
    const GgufFile to = *GgufFile::Open(to_);
    EXPECT_EQ(*to.Integer("general.file_type"), static_cast<int64_t>(FindTypeMix(name)->file_type));
    ASSERT_EQ(to.tensors().size(), from.tensors().size());
    uint64_t bytes = 0;
    for (const FileTensor& tensor : from.tensors()) {
      const FileTensor* found = to.FindTensor(tensor.name);
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(found->shape, tensor.shape);
      bytes += found->size;
      const std::vector<float> x = Values(tensor), y = Values(*found);
      double error = 0, size = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
        error += off * off;
        size += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      }
      EXPECT_LE(std::sqrt(error / size), most) << name << " " << tensor.name;
    }
    EXPECT_EQ(report->plan.bytes, bytes);
    EXPECT_NEAR(*(*to.Real("hone.quantize.bits_per_weight")), report->plan.bits_per_weight(), 1e-5);
  }
}

TEST_F(QuantizeModelTest, ThreadsDoNotChangeAByte) {
  ASSERT_TRUE(Quantize(from_, Options("Q4_K_M"), to_, 1));
  const std::string one = Contents(to_);
  ASSERT_TRUE(Quantize(from_, Options("Q4_K_M"), to_, 3));
  EXPECT_EQ(Contents(to_), one);
}

TEST_F(QuantizeModelTest, AskForConsentBeforeQuantizingTwice) {
  ASSERT_TRUE(Quantize(from_, Options("Q4_1"), to_));
  const std::string again = folder_.Path("again.gguf");
  const auto refused = Quantize(to_, Options("Q4_0"), again);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(refused.error().message.find("token_embd.weight: is Q4_1 already"), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(std::filesystem::exists(again));
  QuantizeOptions options = Options("Q4_0");
  options.allow_requantize = true;
  const auto allowed = Quantize(to_, options, again);
  ASSERT_TRUE(allowed) << allowed.error().message;
  const GgufFile file = *GgufFile::Open(again);
  const auto types = *file.Texts("hone.quantize.requantized_from");
  ASSERT_TRUE(types);
  EXPECT_EQ(*types, (std::vector<std::string_view>{"Q4_1"}));
  // Back to floats needs no consent.
  EXPECT_TRUE(Quantize(to_, Options("F16"), again));
}

// A matrix of rows that no super-block fits.
std::string OddModel(const ScratchFolder& folder, float special) {
  const std::string path = folder.Path("odd.gguf");
  const std::string base = folder.Path("base.gguf");
  EXPECT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 5, base));
  const GgufFile from = *GgufFile::Open(base);
  GgufHeader header;
  for (const auto& [key, value] : from.metadata()) header.Copy(key, value);
  EXPECT_TRUE(header.AddTensor("token_embd.weight", DType::kF32, {2, 256}));
  EXPECT_TRUE(header.AddTensor("blk.0.attn_q.weight", DType::kF32, {4, 96}));
  auto writer = GgufWriter::Create(path, header);
  std::vector<float> values(2 * 256 + 4 * 96, 0.5f);
  values[2 * 256 + 2 * 96 + 7] = special;
  EXPECT_TRUE(writer->Write(std::as_bytes(std::span(values))));
  EXPECT_TRUE(writer->Finish());
  std::filesystem::remove(base);
  return path;
}

TEST_F(QuantizeModelTest, ListsSubstitutesOrRefusesThem) {
  const std::string odd = OddModel(folder_, 0.5f);
  const auto report = Quantize(odd, Options("Q4_K_M"), to_);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->plan.substitutes.size(), 1u);
  EXPECT_EQ(report->plan.substitutes[0].type, DType::kQ5_0);
  EXPECT_NEAR(report->plan.bits_per_weight(), 8 * (2 * 210 + 4 * 3 * 22) / (512.0 + 384.0), 1e-9);
  const GgufFile file = *GgufFile::Open(to_);
  EXPECT_EQ((*file.Texts("hone.quantize.substitutes"))->front(), "blk.0.attn_q.weight: Q4_K -> Q5_0");
  QuantizeOptions strict = Options("Q4_K_M");
  strict.no_substitutes = true;
  const auto refused = Quantize(odd, strict, to_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message,
      odd +
          ": blk.0.attn_q.weight: rows of 96 values do not fit Q4_K, and substitutes (Q5_0) are not allowed");
}

TEST_F(QuantizeModelTest, NamesTheFirstValueThatIsNotFinite) {
  const std::string odd = OddModel(folder_, NAN);
  const auto refused = Quantize(odd, Options("Q8_0"), to_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            odd + ": blk.0.attn_q.weight: row 2, column 7: nan, expected a finite number");
  EXPECT_FALSE(std::filesystem::exists(to_));
  EXPECT_FALSE(std::filesystem::exists(to_ + ".partial"));
}

TEST_F(QuantizeModelTest, CountsWhatF16CannotHold) {
  const std::string odd = OddModel(folder_, -7e4f);
  const auto report = Quantize(odd, Options("F16"), to_);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->out_of_range, 1);
  EXPECT_EQ(Values(*GgufFile::Open(to_)->FindTensor("blk.0.attn_q.weight"))[2 * 96 + 7], -65504.0f);
}

TEST_F(QuantizeModelTest, Q2KSmallAsksForImportance) {
  const auto refused = Quantize(from_, Options("Q2_K_S"), to_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no importance"), std::string::npos) << refused.error().message;
}

TEST_F(QuantizeModelTest, RefusesWhatIsNoModelOfAKnownFamily) {
  EXPECT_EQ(Quantize(folder_.Write("bad.gguf", "no model"), Options("Q8_0"), to_).error().kind,
            ErrorKind::kBadInput);
  const std::string bytes = Contents(from_);
  EXPECT_EQ(Quantize(folder_.Write("short.gguf", bytes.substr(0, bytes.size() / 2)), Options("Q8_0"), to_)
                .error()
                .kind,
            ErrorKind::kBadInput);
  std::string foreign = bytes;
  const size_t at = foreign.find("general.architecture");
  foreign.replace(foreign.find("llama", at), 5, "bloom");
  EXPECT_EQ(Quantize(folder_.Write("foreign.gguf", foreign), Options("Q8_0"), to_).error().kind,
            ErrorKind::kBadInput);
  EXPECT_FALSE(std::filesystem::exists(to_));
}

// Runs in a child process; returns its wait status.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(QuantizeModelTest, AFullDiskLeavesTheOldFile) {
  folder_.Write("out.gguf", "old");
  const int status = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto report = Quantize(from_, Options("Q8_0"), to_);
    if (report || report.error().kind != ErrorKind::kFailed) return 1;
    return report.error().message == to_ + ": write: File too large" ? 0 : 2;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Contents(to_), "old");
  EXPECT_EQ(FilesIn(folder_.path()), folder_size_ + 1) << "something else was left";
}

TEST_F(QuantizeModelTest, GoesOnAfterAKillAndGivesTheSameBytes) {
  ASSERT_TRUE(Quantize(from_, Options("Q5_K_M"), to_));
  const std::string expected = Contents(to_);
  std::filesystem::remove(to_);
  const int status = InChild([&] {
    QuantizeOptions options = Options("Q5_K_M");
    options.progress = [&](uint64_t, uint64_t) {
      usleep(100'000);  // places are noted twice a second
      if (std::filesystem::exists(to_ + ".partial.state")) raise(SIGKILL);
    };
    return Quantize(from_, options, to_) ? 1 : 2;
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_FALSE(std::filesystem::exists(to_));
  const auto report = Quantize(from_, Options("Q5_K_M"), to_);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->resumed, 1000u);
  EXPECT_TRUE(Contents(to_) == expected) << "the bytes differ from those of one run";
  EXPECT_EQ(FilesIn(folder_.path()), folder_size_ + 1);
}

// In kilobytes, from /proc/self/status.
int64_t StatusNumber(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(field + ":")) return std::stoll(line.substr(field.size() + 1));
  }
  return -1;
}

TEST(QuantizeMemory, StaysBelowTheLargestTensorInFloats) {
  const ScratchFolder folder;
  const std::string from = folder.Path("f16.gguf"), to = folder.Path("out.gguf");
  ASSERT_TRUE(WriteRandomModel("llama-160m", DType::kF16, 3, from));
  constexpr int kLargestTensorKilobytes = 32000 * 768 * 4 / 1024;
  const int status = InChild([&] {
    const int64_t before = StatusNumber("VmRSS");
    if (!Quantize(from, Options("Q4_K_M"), to)) return 1;
    return StatusNumber("VmHWM") - before < kLargestTensorKilobytes * 2 / 3 ? 0 : 2;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace hone
