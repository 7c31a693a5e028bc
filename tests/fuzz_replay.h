// What a fuzzer leaves for the ordinary tests: every file of a corpus again, then a counted number of seeded
// mutations of them. The target is the same function that libFuzzer calls (fuzz/NAME_fuzz.cc); it aborts
// where something is wrong, and a sanitizer build sees what it reads.
//
//   TEST(GgufFuzz, SurvivesItsCorpusAndItsMutations) {
//     const FuzzCounts counts = ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/gguf",
//     20000); EXPECT_GT(counts.files, 0);
//   }
//
// After a crash: HONE_FUZZ_DUMP=FILE writes each input to FILE before it is run, so the last one is the
// culprit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

struct FuzzCounts {
  int64_t files = 0;
  int64_t mutations = 0;
};

// Draws mutations of byte strings; the same seed gives the same ones.
class FuzzMutator {
 public:
  // `words`: pieces that the target's language is made of; they are inserted whole.
  FuzzMutator(uint64_t seed, std::vector<std::string_view> words) : state_(seed), words_(std::move(words)) {}

  // One to four changes of `input`; `other` is what pieces are borrowed from.
  std::string Mutate(std::string input, const std::string& other) {
    const uint64_t changes = 1 + Below(4);
    for (uint64_t i = 0; i < changes; ++i) Change(input, other);
    return input;
  }

  uint64_t Below(uint64_t count) {
    uint64_t word = state_ += 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return (word ^ (word >> 31)) % count;
  }

 private:
  void Change(std::string& input, const std::string& other) {
    const uint64_t kind = Below(words_.empty() ? 8 : 10);
    if (input.empty()) {
      input = other.substr(0, Below(64));
      return;
    }
    const size_t position = Below(input.size());
    const size_t length = 1 + Below(std::min<size_t>(64, input.size() - position));
    switch (kind) {
      case 0:
        input[position] ^= static_cast<char>(1 << Below(8));
        return;
      case 1:
        input[position] = static_cast<char>(Below(256));
        return;
      case 2:
        return PutNumber<uint32_t>(input, position);
      case 3:
        return PutNumber<uint64_t>(input, position);
      case 4:
        input.resize(position);
        return;
      case 5:
        input.erase(position, length);
        return;
      case 6:
        input.insert(Below(input.size()), input.substr(position, length));
        return;
      case 7: {
        const size_t from = Below(other.size() + 1);
        input.insert(position, other.substr(from, Below(128)));
        return;
      }
      default:
        input.insert(position, words_[Below(words_.size())]);
    }
  }

  // A number that counts and offsets get wrong.
  template <class T>
  void PutNumber(std::string& input, size_t position) {
    constexpr T kMost = ~T{0};
    const T numbers[] = {0,         1,         2,          kMost,    kMost - 1, kMost / 2, kMost / 2 + 1,
                         kMost / 4, kMost / 8, kMost / 32, 1u << 16, 1u << 24,  31,        33,
                         255,       257};
    T number = numbers[Below(std::size(numbers))];
    if (Below(4) == 0) number = static_cast<T>(number + Below(64));
    std::memcpy(input.data() + position, &number, std::min(sizeof(T), input.size() - position));
  }

  uint64_t state_;
  std::vector<std::string_view> words_;
};

// Calls `target(const uint8_t*, size_t)` with each file of the folder `corpus`, then with `mutations`
// mutations. The input lies in memory of exactly its size, so that a sanitizer sees a read past its end.
template <class Target>
FuzzCounts ReplayFuzz(Target target, const std::string& corpus, int64_t mutations,
                      std::vector<std::string_view> words = {}, uint64_t seed = 1) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> files;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  const char* dump = std::getenv("HONE_FUZZ_DUMP");
  const auto run = [&](const std::string& input) {
    if (dump != nullptr) std::ofstream(dump, std::ios::binary) << input;
    const std::vector<uint8_t> exact(input.begin(), input.end());
    target(exact.data(), exact.size());
  };
  FuzzCounts counts;
  for (const std::string& file : files) {
    run(file);
    ++counts.files;
  }
  FuzzMutator mutator(seed, std::move(words));
  for (; !files.empty() && counts.mutations < mutations; ++counts.mutations) {
    const std::string& input = files[mutator.Below(files.size())];
    run(mutator.Mutate(input, files[mutator.Below(files.size())]));
  }
  return counts;
}

}  // namespace hone
