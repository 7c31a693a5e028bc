// Made-up records and questions about them: what long-context retrieval is trained on and measured with (the
// lines task of LongEval, as "Evaluating Quantized Large Language Models", arXiv 2402.18158, uses it: records
// under unique names, one asked).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone {

struct RetrievalCase {
  std::string records;   // one a line: "line brave-otter: REGISTER_CONTENT is <4711>"
  std::string question;  // ends where the answer begins: "... The REGISTER_CONTENT of line brave-otter is <"
  std::string answer;    // "4711"
  int64_t asked = 0;     // which record, from 0
};

// Case `index` of a seed: `lines` records (1 to 1024) of different names with values from 1 to 50000, one of
// them asked, each equally often. The same arguments give the same case.
RetrievalCase MakeRetrievalCase(uint64_t seed, uint64_t index, int64_t lines);

// A text to learn it from: 2 to 24 records, then a question about every one of them in another order, each
// answered.
std::string RetrievalDocument(uint64_t seed, uint64_t index);

}  // namespace hone
