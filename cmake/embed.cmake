# cmake -DFILES=a;b -DOUTPUT=x.cc -DPREFIX=/page/ -DFUNCTION=PageFiles -P embed.cmake
# A source that defines `std::span<const EmbeddedFile> FUNCTION()`: every file's name behind the prefix, and its bytes.
set(text "// Made by cmake/embed.cmake.\n#include <span>\n\n#include \"core/base/embedded_file.h\"\n\nnamespace hone {\n\n")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" content)
  # One literal holds 64 KiB by the standard's minimum; these files are smaller.
  string(APPEND text "static constexpr char kFile${number}[] = R\"hone_embedded(${content})hone_embedded\";\n")
  string(APPEND rows "    {\"${PREFIX}${name}\", {kFile${number}, sizeof(kFile${number}) - 1}},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "\nstatic constexpr EmbeddedFile kFiles[] = {\n${rows}};\n"
                   "std::span<const EmbeddedFile> ${FUNCTION}() { return kFiles; }\n\n}  // namespace hone\n")
file(WRITE "${OUTPUT}" "${text}")
