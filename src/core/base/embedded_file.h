// A file that the build put into the program, see cmake/embed.cmake.
#pragma once

#include <string_view>

namespace hone {

struct EmbeddedFile {
  std::string_view path;  // "/page/style.css"
  std::string_view body;
};

}  // namespace hone
