# cmake -DFILES=a;b -DOUTPUT=x.cc -DPREFIX=/page/ -P embed.cmake: a source whose array `kEmbeddedFiles` has every file's
# path on the server and its bytes.
set(text "// Made by cmake/embed.cmake.\n#include \"language/serving/http/static_assets.h\"\n\nnamespace hone {\n\n")
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
                   "std::span<const EmbeddedFile> EmbeddedFiles() { return kFiles; }\n\n}  // namespace hone\n")
file(WRITE "${OUTPUT}" "${text}")
