#include <gtest/gtest.h>

#include "fuzz_replay.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

TEST(TokenizerFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts = ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/tokenizer", 4000,
                                       {"tokenizer.ggml.",
                                        "\"type\":",
                                        "\"Regex\":\"",
                                        "\"String\":\"",
                                        "(?:",
                                        "[^",
                                        "\\\\p{L}",
                                        "+)+",
                                        "{1,9}",
                                        "(?=",
                                        "(?1)",
                                        "\\\\1",
                                        "\"Replace\"",
                                        "\"Split\"",
                                        "\"Metaspace\"",
                                        "\"NFC\"",
                                        "null",
                                        "true",
                                        "-1",
                                        "1e99",
                                        "<0xFF>",
                                        "\xE2\x96\x81"});
  EXPECT_GE(counts.files, 15);
  EXPECT_EQ(counts.mutations, 4000);
}

}  // namespace
}  // namespace hone
