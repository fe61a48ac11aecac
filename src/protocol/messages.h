#pragma once

/// Requests and answers as plain values, independent of JSON, multipart or protobuf. Transports
/// parse and serialise them; `inference` answers them.

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

/// Empty name: the default model of the task. Empty version: the newest serving version.
struct ModelRef {
  std::string name;
  std::string version;
};

struct ClassifyRequest {
  ModelRef model;
  std::string image;  ///< encoded bytes, owned; exactly one of image and url is set
  std::string url;
  /// Maximum number of classes or boxes in the answer: 1..1000. Unset: the task's default.
  std::optional<std::uint32_t> top_k;
  bool thumbnail = false;        ///< the answer should contain a thumbnail
  MemoryBudget::Share memory{};  ///< counts a fetched image
};

/// The pictures of one request, in order. A picture that cannot be read has its own error.
using Pictures = std::vector<Result<ClassifyRequest>>;
inline constexpr std::size_t kMaxPictures = 16;

/// One value of a row; std::monostate: missing.
using Cell = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// Rows as `{"age": 41, "city": "Berlin"}`, all with the same names.
struct NamedRows {
  std::vector<std::string> names;          ///< in the order of the first row
  std::vector<std::vector<Cell>> columns;  ///< one for each name, with one cell per row
};

/// Rows as lists of values that are not all FP32 numbers.
struct CellRows {
  std::vector<Cell> cells;  ///< [rows, columns], row-major
  Error not_numbers;        ///< the error for models that need numbers
};

struct RowsRequest {
  ModelRef model;
  /// [rows, columns], row-major, finite or NaN; unused with `named` or `cells`
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::shared_ptr<const NamedRows> named;   ///< null: rows are lists
  std::shared_ptr<const CellRows> cells{};  ///< null: `values` represents the input
  /// The text that `values` were parsed from, for models that need exact values
  /// (read_exact_values). Borrowed until the request is accepted. Empty: `values` are exact.
  std::string_view json{};
};

struct SimulateRequest {
  ModelRef model;
  std::optional<Duration> cpu;  ///< unset: the model's default
};

/// The time of each phase; the answer omits unset phases.
struct Timing {
  std::optional<Duration> fetch;
  std::optional<Duration> queue;
  std::optional<Duration> preprocess;
  std::optional<Duration> compute;
  Duration total{};
};

/// In pixels of the displayed picture, from its upper left corner.
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
  Box box{};  ///< valid if ClassifyAnswer::picture is set
};

struct PictureSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};

struct RowAnswer {
  /// The model's own label if it is a number, else the class with the highest score.
  std::int64_t prediction = 0;
  std::string_view label;                 ///< borrowed likewise; empty: the class has only a number
  std::optional<std::string> text_label;  ///< the model's own label if it is a text
  std::vector<float> probabilities;       ///< or scores, see RowsAnswer::numbers
  std::vector<double> values{};           ///< of a regression, instead of all members above
};

/// The common fields of all answers.
struct AnswerHead {
  std::string_view model;    ///< borrowed from `owner`
  std::string_view version;  ///< borrowed from `owner`
  Timing timing;
  std::shared_ptr<const void> owner;
};

struct ClassifyAnswer : AnswerHead {
  std::vector<ScoredClass> predictions;  ///< best first
  std::optional<PictureSize> picture;    ///< size as displayed; set if predictions have boxes
  /// above 1: an animation, of which the first frame was used
  std::uint32_t frames = 1;
  std::string thumbnail;  ///< a JPEG; empty: not requested, or not possible
};
struct RowsAnswer : AnswerHead {
  /// The meaning of each row's numbers; kValues: values of a model that computes in FP32.
  enum class Numbers { kProbabilities, kScores, kValues, kDoubles };
  Numbers numbers = Numbers::kProbabilities;
  std::vector<RowAnswer> rows;
};
struct SimulateAnswer : AnswerHead {
  Duration cpu{};  ///< actually used
};

}  // namespace podsense::protocol
