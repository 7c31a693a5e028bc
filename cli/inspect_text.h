// The report of `hone inspect` as a page of text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace hone {

std::string InspectText(const nlohmann::ordered_json& report);

}  // namespace hone
