#include "core/base/text_distance.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace hone {
namespace {

TEST(EditDistance, CountsEachKindOfChangeOnce) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("bench", "bnech"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

RC_GTEST_PROP(EditDistance, IsSymmetricAndAtMostTheLongerLength,
              (const std::string& a, const std::string& b)) {
  RC_ASSERT(EditDistance(a, b) == EditDistance(b, a));
  RC_ASSERT(EditDistance(a, b) <= static_cast<int>(std::max(a.size(), b.size())));
  RC_ASSERT((EditDistance(a, b) == 0) == (a == b));
}

TEST(Nearest, FindsTheNameThatWasMeant) {
  const std::string_view names[] = {"chat", "bench", "inspect", "perplexity"};
  EXPECT_EQ(Nearest("cht", names), "chat");
  EXPECT_EQ(Nearest("inpsect", names), "inspect");
  EXPECT_EQ(Nearest("perplex", names), "perplexity");
  EXPECT_EQ(Nearest("serve", names), "");
  EXPECT_EQ(Suggestion("benhc", names), ", did you mean bench?");
  EXPECT_EQ(Suggestion("quantize", names), "");
}

}  // namespace
}  // namespace hone
