#include <gtest/gtest.h>

#include "fuzz_replay.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

TEST(ConstraintFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts =
      ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/constraint", 4000,
                 {"\"type\":",
                  "\"anyOf\":[",
                  "\"$ref\":\"#\"",
                  "\"pattern\":\"",
                  "\"enum\":[",
                  "\"maxLength\":",
                  "root",
                  " ::= ",
                  "{1,3}",
                  "*",
                  "+",
                  "(",
                  ")",
                  "[^",
                  "]",
                  "|",
                  "\\d",
                  "\\u00e9",
                  "^",
                  "$",
                  "\"properties\":{",
                  "\"items\":"});
  EXPECT_GE(counts.files, 10);
  EXPECT_EQ(counts.mutations, 4000);
}

}  // namespace
}  // namespace hone
