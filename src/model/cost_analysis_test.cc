#include "model/cost_analysis.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace podsense::model {
namespace {

GraphNode node(std::string op, std::vector<std::string> inputs, std::vector<std::string> outputs,
               std::string domain = {}) {
  return {.op = std::move(op),
          .domain = std::move(domain),
          .name = {},
          .inputs = std::move(inputs),
          .outputs = std::move(outputs),
          .attributes = {}};
}

bool depends(std::vector<GraphNode> nodes, std::vector<std::string> constants = {}) {
  Graph graph;
  graph.nodes = std::move(nodes);
  for (std::string& name : constants) {
    graph.constants.emplace(std::move(name), GraphConstant{});
  }
  return cost_depends_on_values(graph);
}

TEST(CostAnalysis, SizesSayWhatOrdinaryOperatorsCost) {
  EXPECT_FALSE(depends({node("MatMul", {"x", "w"}, {"a"}), node("Relu", {"a"}, {"y"})}, {"w"}));
  EXPECT_FALSE(depends({node("TreeEnsembleClassifier", {"x"}, {"y"}, "ai.onnx.ml")}));
  EXPECT_FALSE(depends({node("QLinearAdd", {"x", "w"}, {"y"}, "com.microsoft")}, {"w"}));
}

TEST(CostAnalysis, AnOutputAsLargeAsAValueSaysDepends) {
  EXPECT_TRUE(depends({node("Range", {"zero", "x", "one"}, {"y"})}, {"zero", "one"}));
  EXPECT_TRUE(depends({node("Expand", {"w", "x"}, {"y"})}, {"w"}));
  EXPECT_TRUE(depends({node("Cast", {"x"}, {"n"}), node("ConstantOfShape", {"n"}, {"y"})}));
  EXPECT_TRUE(depends({node("Resize", {"w", "", "", "x"}, {"y"})}, {"w"}));
  EXPECT_TRUE(depends({node("OneHot", {"w", "x", "v"}, {"y"})}, {"w", "v"}));
}

TEST(CostAnalysis, SizesThatFollowFromShapesAndConstantsDoNot) {
  EXPECT_FALSE(depends({node("Shape", {"x"}, {"s"}), node("Gather", {"s", "zero"}, {"n"}),
                        node("Concat", {"n", "four"}, {"t"}), node("Expand", {"w", "t"}, {"y"})},
                       {"zero", "four", "w"}));
  EXPECT_FALSE(depends({node("Constant", {}, {"c"}), node("Tile", {"x", "c"}, {"y"})}));
  EXPECT_FALSE(depends({node("Resize", {"x", "", "scales"}, {"y"})}, {"scales"}));
}

TEST(CostAnalysis, WhatIsNotKnownDepends) {
  EXPECT_TRUE(depends({node("Slow", {"x"}, {"y"}, "example.com")}));
  EXPECT_TRUE(depends({node("BeamSearch", {"x"}, {"y"}, "com.microsoft")}));
  GraphNode branch = node("If", {"x"}, {"y"});
  branch.attributes["then_branch"].graph = true;
  EXPECT_TRUE(depends({branch}));
  Graph graph;
  graph.functions = 1;  // they may hold loops
  EXPECT_TRUE(cost_depends_on_values(graph));
  graph.functions = 0;
  EXPECT_FALSE(cost_depends_on_values(graph));
  graph.loops = true;
  EXPECT_TRUE(cost_depends_on_values(graph));
}

}  // namespace
}  // namespace podsense::model
