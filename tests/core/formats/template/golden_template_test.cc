// Real chat templates against the renderings that jinja2 gave, byte for byte.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/formats/template/rendering.h"

namespace hone {
namespace {

// Compares every rendering of NAME.json with what NAME.jinja gives; returns how many were compared.
int CompareFolder(const std::filesystem::path& templates, const std::filesystem::path& renderings,
                  const Json& conversations) {
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(renderings)) {
    const std::string name = entry.path().stem().string();
    const std::filesystem::path source_path = templates / (name + ".jinja");
    if (entry.path().extension() != ".json" || !std::filesystem::exists(source_path)) continue;
    const auto parsed = ChatTemplate::Parse(ReadFile(source_path));
    EXPECT_TRUE(parsed.has_value()) << name << ": " << (parsed ? "" : parsed.error().message);
    if (!parsed) continue;
    const Json golden = Json::parse(ReadFile(entry.path()));
    for (const auto& [key, expected] : golden.items()) {
      const size_t slash = key.find('/');
      const Json variables =
          VariablesOf(conversations[key.substr(0, slash)], key.substr(slash + 1) == "generation");
      const auto rendered = parsed->Render(variables, GoldenClock());
      ++compared;
      if (expected.contains("error")) {
        EXPECT_FALSE(rendered.has_value()) << name << " " << key << " should refuse: " << expected["error"];
      } else if (!rendered) {
        ADD_FAILURE() << name << " " << key << ": " << rendered.error().message;
      } else {
        EXPECT_EQ(rendered->text, expected["text"].get<std::string>()) << name << " " << key;
      }
    }
  }
  return compared;
}

TEST(ChatTemplate, RendersEveryGoldenTemplateAsJinja2Does) {
  const std::filesystem::path folder = HONE_SOURCE_DIR "/../shared/golden/templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no ../shared";
  const Json conversations = Json::parse(ReadFile(folder / "conversations.json"));
  EXPECT_GE(CompareFolder(folder, folder, conversations), 35 * 16);
}

// HONE_TEMPLATE_FOLDER holds other templates with their renderings and conversations.json, made as the golden
// ones were.
TEST(ChatTemplate, RendersTheTemplatesOfAnotherFolder) {
  const char* const name = std::getenv("HONE_TEMPLATE_FOLDER");
  if (!name) GTEST_SKIP() << "no HONE_TEMPLATE_FOLDER";
  const std::filesystem::path folder = name;
  EXPECT_GE(CompareFolder(folder, folder, Json::parse(ReadFile(folder / "conversations.json"))), 1);
}

}  // namespace
}  // namespace hone
