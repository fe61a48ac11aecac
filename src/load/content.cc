#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>

#include "load/job.h"
#include "text/file.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::load {
namespace {

namespace fs = std::filesystem;

struct ImageType {
  std::string_view begin;
  std::string_view type;
};
constexpr std::array<ImageType, 3> kImageTypes{{{.begin = "\xFF\xD8\xFF", .type = "image/jpeg"},
                                                {.begin = "\x89PNG", .type = "image/png"},
                                                {.begin = "RIFF", .type = "image/webp"}}};

std::string_view image_type(std::string_view bytes) {
  for (const ImageType& known : kImageTypes) {
    if (bytes.starts_with(known.begin)) {
      return known.type;
    }
  }
  return {};
}

HttpRequestOptions::Body image_body(const std::string& bytes, const std::string& name,
                                    bool multipart) {
  const std::string type(image_type(bytes));
  if (!multipart) {
    return {.content = BodyTemplate::fixed(bytes), .content_type = type};
  }
  const std::string boundary = "podsense-load-5f1c9a7e";
  std::string form =
      "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
      "\"\r\nContent-Type: " + type + "\r\n\r\n" + bytes + "\r\n--" + boundary + "--\r\n";
  return {.content = BodyTemplate::fixed(std::move(form)),
          .content_type = "multipart/form-data; boundary=" + boundary};
}

Result<Content> image_content(const LoadOptions& options) {
  std::vector<fs::path> files{options.image};
  std::error_code error;
  if (fs::is_directory(options.image, error)) {
    files.clear();
    for (const auto& entry : fs::directory_iterator(options.image, error)) {
      if (entry.is_regular_file(error)) {
        files.push_back(entry.path());
      }
    }
    std::ranges::sort(files);
  }
  Content content{.path = "/predict"};
  for (const fs::path& file : files) {
    auto bytes = text::read_file(file, "--image ");
    if (!bytes) {
      return fail(std::move(bytes.error()));
    }
    if (!image_type(*bytes).empty()) {
      content.bodies.push_back(image_body(*bytes, file.filename().string(), options.multipart));
    }
  }
  if (content.bodies.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--image " + options.image.string() + ": there is no JPEG, PNG or WebP");
  }
  return content;
}

/// "1,2.5,3" as JSON's numbers; nothing where it is something else.
std::optional<std::string> number_list(std::string_view text) {
  std::string list;
  for (const std::string_view part : text::split(text, ',')) {
    const auto number = text::json_number(part);
    if (!number) {
      return std::nullopt;
    }
    list += (list.empty() ? "" : ",") + *number;
  }
  return list;
}

/// Features are numbers; an empty field and NaN are missing ones.
Result<void> make_numbers(Table& table) {
  for (Table::Row& row : table.rows) {
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      if (row.json_fields[i] == "null") {
        continue;
      }
      auto number = text::json_number(text::trim(row.fields[i]));
      if (!number) {
        return text::bad_csv(
            row.line, row.columns[i],
            "'" + row.fields[i].substr(0, 40) +
                "' is no number; --csv-header where the first line names the columns");
      }
      row.json_fields[i] = std::move(*number);
    }
  }
  return {};
}

Result<Content> features_content(const LoadOptions& options) {
  Content content{.path = "/predict-single"};
  if (const auto list = number_list(options.features)) {
    content.bodies.push_back({.content = BodyTemplate::fixed(R"({"features": [)" + *list + "]}"),
                              .content_type = "application/json"});
    return content;
  }
  auto csv = text::read_file(options.features);
  if (!csv) {
    return fail(ErrorCode::kInvalidArgument,
                "--features " + options.features +
                    ": neither numbers with commas nor a CSV file that can be read");
  }
  auto table = parse_table(*csv, options.csv_header);
  auto checked = table ? make_numbers(*table) : Result<void>();
  if (!table || !checked) {
    return fail(ErrorCode::kInvalidArgument, "--features " + options.features + ": " +
                                                 (table ? checked.error() : table.error()).message);
  }
  auto body = BodyTemplate::parse(R"({"features": [{{row}}]})",
                                  std::make_shared<const Table>(std::move(*table)), options.seed,
                                  Syntax::kJson);
  if (!body) {
    return fail(std::move(body.error()));
  }
  content.bodies.push_back({.content = std::move(*body), .content_type = "application/json"});
  return content;
}

/// JSON where it looks like it, as most bodies here are.
std::string guessed_type(std::string_view body) {
  const std::string_view start = text::trim(body.substr(0, 100));
  return start.starts_with('{') || start.starts_with('[') ? "application/json" : "";
}

/// By what the user says it is, else by its begin.
bool is_json(const LoadOptions& options, std::string_view guessed) {
  std::string type = options.content_type;
  for (const auto& [name, value] : options.headers) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    type = lower == "content-type" ? value : type;
  }
  return (type.empty() ? guessed : std::string_view(type)).find("json") != std::string_view::npos ||
         options.grpc;
}

Result<Content> file_content(const LoadOptions& options) {
  auto text = options.body_template ? Result<std::string>(*options.body_template)
                                    : text::read_file(options.body_file, "--body-file ");
  if (!text) {
    return fail(std::move(text.error()));
  }
  if (text->starts_with("\xEF\xBB\xBF")) {  // a byte-order mark, which JSON must not have
    text->erase(0, 3);
  }
  auto rows = load_rows(options, *text);
  if (!rows) {
    return fail(std::move(rows.error()));
  }
  const std::string type = guessed_type(*text);
  const bool json = is_json(options, type);
  // Bytes that are no text are sent as they are: "{{" in a picture is no placeholder.
  if (text->find('\0') != std::string::npos) {
    return Content{.bodies = {{.content = BodyTemplate::fixed(std::move(*text))}}};
  }
  auto body = BodyTemplate::parse(*text, *rows, options.seed, json ? Syntax::kJson : Syntax::kText);
  if (!body) {
    return fail(ErrorCode::kInvalidArgument,
                "--body-file " + options.body_file.string() + ": " + body.error().message);
  }
  return Content{.bodies = {{.content = std::move(*body), .content_type = type}},
                 .path = {},
                 .rows = std::move(*rows)};
}

}  // namespace

Result<std::shared_ptr<const Table>> load_rows(const LoadOptions& options, std::string_view text) {
  if (options.rows.empty()) {
    return nullptr;
  }
  auto csv = text::read_file(options.rows, "--rows ");
  if (!csv) {
    return fail(std::move(csv.error()));
  }
  auto names = row_names(text);
  for (const std::string& url : options.urls()) {
    const auto more = row_names(url);
    names.insert(names.end(), more.begin(), more.end());
  }
  auto table = parse_table(*csv, options.csv_header, names);
  if (!table) {
    return fail(ErrorCode::kInvalidArgument,
                "--rows " + options.rows.string() + ": " + table.error().message);
  }
  return std::make_shared<const Table>(std::move(*table));
}

Result<Content> make_content(const LoadOptions& options) {
  if (!options.image.empty()) {
    return image_content(options);
  }
  if (!options.features.empty()) {
    return features_content(options);
  }
  if (!options.body_file.empty()) {
    return file_content(options);
  }
  if (options.body) {
    return Content{.bodies = {{.content = BodyTemplate::fixed(*options.body),
                               .content_type = guessed_type(*options.body)}},
                   .path = {}};
  }
  return Content{.path = "/infer"};
}

}  // namespace podsense::load
