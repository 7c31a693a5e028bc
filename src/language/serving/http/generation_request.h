// What the three endpoints that write text have in common: sampling, limits, streaming.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "language/decoding/sampler.h"
#include "language/serving/http/request_fields.h"

namespace hone {

struct GenerationRequest {
  SamplingOptions sampling;
  uint64_t seed = 0;        // of choice 0; fresh where the request gave none
  int64_t max_tokens = -1;  // -1: the rest of the context
  int64_t choices = 1;      // n
  std::vector<std::string> stop;
  bool ignore_ends = false;
  bool stream = false;
  bool include_usage = false;
  bool log_probabilities = false;
  int64_t top = 0;  // log-probabilities of the most likely tokens beside each chosen one
  int priority = 0;
  std::string user;
};

// Reads the common fields; logprobs, which each endpoint spells differently, and max_tokens' other names are
// left to the caller.
ApiResult<GenerationRequest> ReadGenerationRequest(RequestFields& fields);

// Fields of the OpenAI API that hone knows and does not act on: harmless ones are named in the reply's
// X-Ignored-Parameters header, others are 400 here.
ApiResult<void> RefuseUnsupported(RequestFields& fields);

}  // namespace hone
