// What `hone pull` does: a model from its name to a verified file on this machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct PullOptions {
  std::string sha256;  // expected of a single file; empty: what the source says
};

// `source` is a known short name, hf:OWNER/REPO/FILE or an http(s) URL; PulledPath(source) is where it goes,
// and what is returned. A file that is there already is kept as it is (and checked where a hash is given).
// Naming one shard of a split set (-00001-of-0000N.gguf) fetches all of them, after every one has been found
// at the source. HF_ENDPOINT names another server than https://huggingface.co, HF_TOKEN goes to it.
Result<std::string> PullModel(std::string_view source, const PullOptions& options = {});

// Names of all shards of the set that `name` (a path or URL) belongs to, in order; just `name` where it is
// not a shard.
std::vector<std::string> ShardNames(const std::string& name);

}  // namespace hone
