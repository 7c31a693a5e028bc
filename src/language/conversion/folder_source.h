// See OpenModelSource, which calls this for folders.
#pragma once

#include <memory>
#include <string>

#include "core/base/result.h"
#include "language/conversion/model_source.h"

namespace hone {

// `scratch` names a file that may be written while the vocabulary is checked.
Result<std::unique_ptr<ModelSource>> OpenFolderSource(const std::string& path, const std::string& scratch);

}  // namespace hone
