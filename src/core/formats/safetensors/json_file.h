// The small JSON files of a Hugging Face folder: config.json, generation_config.json, the index of the
// shards.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/base/result.h"

namespace hone {

// The object in the file, its keys in the file's order. Errors: a file that cannot be read or is larger than
// 16 MiB, text that is not JSON (with the line and column of the first wrong byte), a key that occurs twice
// in one object, nesting deeper than 64, something else than an object at the top.
Result<nlohmann::ordered_json> ReadJsonObject(const std::string& path);

}  // namespace hone
