// Small pieces of the language against what jinja2 made of them (tests/golden/template/make_snippets.py).
#include <gtest/gtest.h>

#include "core/formats/template/rendering.h"

namespace hone {
namespace {

TEST(ChatTemplate, RendersEverySnippetAsJinja2Does) {
  const Json golden = Json::parse(ReadFile(HONE_SOURCE_DIR "/tests/golden/template/snippets.json"));
  int compared = 0;
  for (const Json& snippet : golden["snippets"]) {
    const auto source = snippet["source"].get<std::string>();
    const auto rendered = RenderSource(source, golden["variables"]);
    ++compared;
    if (snippet.contains("error")) {
      EXPECT_FALSE(rendered.has_value())
          << source << " gave '" << rendered->text << "', jinja2: " << snippet["error"];
    } else if (!rendered) {
      ADD_FAILURE() << source << ": " << rendered.error().message << ", jinja2: '" << snippet["text"] << "'";
    } else {
      EXPECT_EQ(rendered->text, snippet["text"].get<std::string>()) << source;
    }
  }
  EXPECT_GE(compared, 1000);
}

}  // namespace
}  // namespace hone
