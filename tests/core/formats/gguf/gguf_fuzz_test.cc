#include <gtest/gtest.h>

#include "fuzz_replay.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

TEST(GgufFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts = ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/gguf", 20000,
                                       {"general.alignment", "split.count", "split.no", "GGUF"});
  EXPECT_GE(counts.files, 12);
  EXPECT_EQ(counts.mutations, 20000);
}

}  // namespace
}  // namespace hone
