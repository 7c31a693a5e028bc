#include <gtest/gtest.h>

#include "fuzz_replay.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

TEST(TemplateFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts =
      ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/template", 20000,
                 {"{{ ",       " }}",       "{% ",      " %}",   "{#",       "#}",
                  "messages",  "|tojson",   "|join",    "|safe", "[::-1]",   "loop.last",
                  " if ",      " else ",    " ~ ",      " is ",  "{% endif", "endfor",
                  "recursive", "namespace", ".format(", " % ",   "range(9)", "9223372036854775807"});
  EXPECT_GE(counts.files, 12);
  EXPECT_EQ(counts.mutations, 20000);
}

}  // namespace
}  // namespace hone
