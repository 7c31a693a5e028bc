#include "evaluation/explain/techniques.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace hone {
namespace {

TEST(Techniques, StandOnceAndInFull) {
  std::set<std::string_view> names;
  for (const Technique& technique : Techniques()) {
    EXPECT_TRUE(names.insert(technique.name).second) << technique.name;
    for (const std::string_view text : {technique.group, technique.leaf, technique.needs, technique.interface,
                                        technique.how, technique.gain})
      EXPECT_FALSE(text.empty()) << technique.name;
    EXPECT_NE(technique.stages, 0) << technique.name;
    if (technique.factors != 0) {
      EXPECT_NE(technique.helps, 0) << technique.name;
    }
  }
}

TEST(Techniques, ConflictWithTechniquesThatAreThere) {
  std::set<std::string_view> names;
  for (const Technique& technique : Techniques()) names.insert(technique.name);
  int conflicts = 0;
  for (const Technique& technique : Techniques()) {
    std::stringstream list{std::string(technique.conflicts)};
    for (std::string name; std::getline(list, name, ',');) {
      name.erase(0, name.find_first_not_of(' '));
      EXPECT_TRUE(names.contains(name)) << technique.name << " names " << name;
      ++conflicts;
    }
  }
  EXPECT_GT(conflicts, 2);
}

TEST(Techniques, AreFoundByOperatorAndFactor) {
  const auto has = [](Operator op, Factor factor, std::string_view name) {
    const auto found = TechniquesFor(op, factor);
    return std::any_of(found.begin(), found.end(), [&](const Technique* t) { return t->name == name; });
  };
  EXPECT_TRUE(has(Operator::kGateUp, kAccess, "4-bit weights"));
  EXPECT_FALSE(has(Operator::kGateUp, kCompute, "4-bit weights"));
  EXPECT_TRUE(has(Operator::kGateUp, kCompute, "8-bit activations"));
  EXPECT_TRUE(has(Operator::kAttention, kAccess, "fp16 KV cache"));
  EXPECT_TRUE(TechniquesFor(Operator::kNorm, kAccess).empty());
}

TEST(Techniques, NameStagesAndFactors) {
  EXPECT_EQ(StageNames(kPrefill | kServing), "prefill, serving");
  EXPECT_EQ(FactorNames(kAccess), "access");
  EXPECT_EQ(FactorNames(0), "");
}

}  // namespace
}  // namespace hone
