#include "inference/tasks/registry.h"

#include <set>

#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(TaskTest, EveryKindIsFoundByItsName) {
  std::set<std::string_view> names;
  for (const TaskKind* kind : task_kinds()) {
    EXPECT_EQ(find_task(kind->name()), kind);
    EXPECT_TRUE(names.insert(kind->name()).second) << kind->name();
    EXPECT_THAT(task_names(), HasSubstr(std::string(kind->name())));
    EXPECT_THAT(task_names(kind->form()), HasSubstr(std::string(kind->name())));
  }
  EXPECT_EQ(find_task("tensr"), nullptr);
}

TEST_F(TaskTest, AnUnknownTaskIsRefusedWithThoseThereAre) {
  EXPECT_EQ(refused("add_one.onnx", "task: tensr"), "model.yaml: 'task' must be one of " +
                                                        task_names() +
                                                        ", not 'tensr'; did you mean 'tensor'?");
  EXPECT_EQ(refused("add_one.onnx", "task: 7"),
            "model.yaml: 'task' must be one of " + task_names() + ", not '7'");
  EXPECT_EQ(refused("add_one.onnx", "task: simulated"),
            "'task: simulated' goes with a model without a model.onnx");
  EXPECT_EQ(refused("float8.onnx"), "input 'x' has an element type that is not served");
}

TEST_F(TaskTest, WhatLooksLikeNothingElseTakesTensors) {
  for (const char* file :
       {"sum_two_inputs.onnx", "regressor.onnx", "identity_dyn.onnx", "conv_open_size.onnx"}) {
    EXPECT_EQ(name(file), "tensor") << file;
  }
  EXPECT_EQ(name("conv_softmax.onnx", "task: tensor"), "tensor");
  EXPECT_THAT(task("identity_dyn.onnx", "labels: [a, b]")->labels, ElementsAre("a", "b"));
}

TEST_F(TaskTest, ARequestOfAnotherFormIsToldTheWayThatWorks) {
  put("numbers", "regressor.onnx", "task: tensor");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  EXPECT_EQ(predict(4, "", "numbers").error().message,
            "model 'numbers' is for tensor, this request is for " + task_names(Form::kRows) +
                "; ask it at /v2/models/numbers/infer");
}

TEST_F(TaskTest, DefaultsAreChosenByTask) {
  put("b-rows", "tabular.onnx");
  put("a-rows", "tabular.onnx");
  open();
  reload();
  const TaskKind& rows = *find_task("tabular-classification");
  EXPECT_EQ(catalog_->default_model(rows), "a-rows");
  EXPECT_EQ(catalog_->default_model(*find_task("simulated")), "");
  Catalog chosen({.repository = {.root = root_},
                  .preferred_model = "a-rows",
                  .defaults = {{"tabular-classification", "b-rows"}}},
                 *backends_, *scheduler_, registry_, clock_);
  ASSERT_TRUE(chosen.reload());
  EXPECT_EQ(chosen.default_model(rows), "b-rows");
  EXPECT_EQ(chosen.find({}, Form::kRows).value()->name(), "b-rows");
  EXPECT_THAT(chosen.find({}, Form::kPicture).error().message,
              HasSubstr("no model for " + task_names(Form::kPicture) + " is served"));
}

}  // namespace
}  // namespace podsense::inference
