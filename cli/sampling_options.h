// The flags that shape an answer, the same in every command that writes one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "language/decoding/session.h"

namespace CLI {
class App;
}

namespace hone {

struct SamplingFlags {
  SamplingOptions sampling;  // the command's defaults, until flags change them
  std::string logit_bias;    // a JSON object, ids as strings
  std::optional<uint64_t> seed;
  int64_t max_tokens = -1;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  int64_t context = 0;
  int64_t chunk = 512;
  std::string chat_template_kwargs;
  std::string json_schema;  // a file or the schema itself
  std::string grammar;      // a file
  std::string regex;

  // What the flags say; --logit-bias and what the answer must look like may be broken.
  Result<GenerateOptions> ToOptions() const;
};

// `flags` outlives `app`.
void AddSamplingOptions(CLI::App& app, SamplingFlags& flags);

}  // namespace hone
