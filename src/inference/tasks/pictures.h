#pragma once

/// The base of tasks for pictures: converts pictures to the model's single input and runs batches.
/// Private to this module.

#include <string_view>

#include "image/image.h"
#include "inference/answer_task.h"
#include "inference/tasks/task.h"
#include "protocol/messages.h"

namespace podsense::inference {

class PictureTask final : public AnswerTask<protocol::ClassifyAnswer> {
 public:
  PictureTask(std::shared_ptr<const ServedModel> served, const Context& context,
              protocol::ClassifyRequest wanted, Done<protocol::ClassifyAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), request(std::move(wanted)) {}
  protocol::ClassifyRequest request;
  image::Limits limits;
  image::Geometry geometry;  ///< set after decoding
  std::string thumbnail;     ///< a JPEG, if requested and possible
};

/// @errors kInvalidArgument: an unknown name (with the accepted ones)
Result<image::TensorSpec> tensor_spec(const model::PreprocessSpec& preprocess);

class PictureModel : public ModelTask {
 public:
  using ModelTask::ModelTask;
  /// Decodes and runs the pictures and answers the tasks. A picture that cannot be decoded gets its
  /// own error.
  [[nodiscard]] bool run(const ServedModel& served, const Clock& clock,
                         std::span<batching::TaskPtr>& batch,
                         const std::stop_token& stop) const final;

  /// The size of one picture's tensor in bytes.
  [[nodiscard]] std::uint64_t row_bytes() const {
    return image::element_count(spec) * (byte_input ? 1 : sizeof(float));
  }

  image::TensorSpec spec;
  bool byte_input = false;  ///< the model takes bytes without normalisation

 protected:
  /// The outputs for a random picture; null: the model rejects it.
  [[nodiscard]] std::unique_ptr<model::Outputs> probe_run(const model::Model& model) const;
  /// Sets how pictures are converted to the input. @errors kInvalidArgument: the model does not
  /// have exactly one picture input, or `preprocess` does not fit it
  Result<void> take_pictures(const model::Model& model, model::PreprocessSpec preprocess);

 private:
  struct Buffers;

  /// Answers the picture in row `row` of `rows`; false: the outputs cannot be split into rows.
  virtual bool answer(const ServedModel& served, const model::Outputs& outputs, std::size_t row,
                      std::size_t rows, const PictureTask& task,
                      protocol::ClassifyAnswer& answer) const = 0;

  template <class Element>
  std::size_t decode_into(const ServedModel& served, const Clock& clock,
                          std::span<batching::TaskPtr> batch, std::vector<Element>& tensor,
                          image::Scratch& scratch, const std::stop_token& stop) const;
  [[nodiscard]] std::vector<std::int64_t> batch_shape(std::size_t rows) const;
};

/// The model's single input if it takes pictures: its channel dimension is 1 or 3.
struct PictureInput {
  bool nhwc = false;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};
std::optional<PictureInput> picture_input(const model::Signature& signature);

}  // namespace podsense::inference
