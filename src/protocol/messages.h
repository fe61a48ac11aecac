#pragma once

/// Requests and answers as plain values: what is left when JSON, multipart or protobuf is gone.
/// Transports make and write them, `inference` fulfils them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"

namespace podsense::protocol {

/// Empty name: the default model of the task. Empty version: the newest that serves.
struct ModelRef {
  std::string name;
  std::string version;
};

struct ClassifyRequest {
  ModelRef model;
  std::string image;  ///< encoded bytes, owned; exactly one of image and url is set
  std::string url;
  /// Classes, or boxes found, to answer at most: 1..1000. Unset: the task's own number.
  std::optional<std::uint32_t> top_k;
  bool thumbnail = false;        ///< the answer is to hold a small picture of it
  MemoryBudget::Share memory{};  ///< in which a fetched image is counted
};

/// The pictures of one request, in its order; one that cannot be read is its own error.
using Pictures = std::vector<Result<ClassifyRequest>>;
inline constexpr std::size_t kMaxPictures = 16;

/// One value of a row whose columns have names; std::monostate: it is missing.
using Cell = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// Rows as `{"age": 41, "city": "Berlin"}`, all with the same names.
struct NamedRows {
  std::vector<std::string> names;          ///< in the order of the first row
  std::vector<std::vector<Cell>> columns;  ///< one for each name, a cell for each row
};

/// Rows as lists of values that are not all numbers of FP32.
struct CellRows {
  std::vector<Cell> cells;  ///< [rows, columns], row-major
  Error not_numbers;        ///< what a model that wants numbers answers
};

struct RowsRequest {
  ModelRef model;
  /// [rows, columns], row-major, finite or NaN; of no meaning with `named` or `cells`
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::shared_ptr<const NamedRows> named;   ///< null: rows are lists
  std::shared_ptr<const CellRows> cells{};  ///< null: the values are what came
  /// The text that `values` were read from, for models that want them exactly: read_exact_values.
  /// Borrowed until the request is taken. Empty: there is nothing more exact.
  std::string_view json{};
};

struct SimulateRequest {
  ModelRef model;
  std::optional<Duration> cpu;  ///< unset: the model's default
};

/// Time in each phase; unset phases are left out of the answer.
struct Timing {
  std::optional<Duration> fetch;
  std::optional<Duration> queue;
  std::optional<Duration> preprocess;
  std::optional<Duration> compute;
  Duration total{};
};

/// In pixels of the picture as it is displayed, from its upper left corner.
struct Box {
  float x_min = 0;
  float y_min = 0;
  float x_max = 0;
  float y_max = 0;
};

struct ScoredClass {
  std::uint32_t index = 0;
  std::string_view label;  ///< borrowed from the model version that Answer::owner keeps alive
  float score = 0;
  Box box{};  ///< where ClassifyAnswer::picture is set
};

struct PictureSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};

struct RowAnswer {
  /// The model's own label where that is a number, else the class with the highest score.
  std::int64_t prediction = 0;
  std::string_view label;  ///< borrowed likewise; empty: the class has no name but its number
  std::optional<std::string> text_label;  ///< the model's own label where that is a text
  std::vector<float> probabilities;       ///< or scores, as RowsAnswer::numbers says
  std::vector<double> values{};           ///< of a regression, instead of all of the above
};

/// What every answer carries.
struct AnswerHead {
  std::string_view model;    ///< borrowed from `owner`
  std::string_view version;  ///< borrowed from `owner`
  Timing timing;
  std::shared_ptr<const void> owner;
};

struct ClassifyAnswer : AnswerHead {
  std::vector<ScoredClass> predictions;  ///< best first
  std::optional<PictureSize> picture;    ///< as displayed; set where predictions have boxes
  std::uint32_t frames = 1;              ///< more: of an animation, of which the first was used
  std::string thumbnail;                 ///< a JPEG; empty: not wanted, or not to be had now
};
struct RowsAnswer : AnswerHead {
  /// What the numbers of each row are; kValues are those of a model that calculates in FP32.
  enum class Numbers { kProbabilities, kScores, kValues, kDoubles };
  Numbers numbers = Numbers::kProbabilities;
  std::vector<RowAnswer> rows;
};
struct SimulateAnswer : AnswerHead {
  Duration cpu{};  ///< truly burnt
};

}  // namespace podsense::protocol
