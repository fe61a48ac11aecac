#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "cli/description.h"

namespace podsense::cli {
namespace {

/// Converts the UTF-8 character at `at` to an escape for every roff; moves `at` to its last byte.
std::string unicode_escape(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  std::uint32_t point = first & (0x3FU >> more);
  for (std::size_t i = 0; i < more && at + 1 < text.size(); ++i) {
    point = point << 6U | (static_cast<unsigned char>(text[++at]) & 0x3FU);
  }
  std::array<char, 16> escape{};
  std::snprintf(escape.data(), escape.size(), "\\[u%04X]", point);
  return escape.data();
}

/// Escapes text for roff, so that it contains no escapes or requests.
std::string roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool begins_line = i == 0 || text[i - 1] == '\n';
    if (begins_line && (c == '.' || c == '\'')) {
      out += "\\&";
    }
    if (c == '\\') {
      out += "\\(rs";
    } else if (c == '-') {
      out += "\\-";
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      out += unicode_escape(text, i);
    } else {
      out += c;
    }
  }
  return out;
}

void append_text(std::string& out, std::string_view text) {
  bool example = false;
  bool paragraph = false;  // start a paragraph before the next line
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text = text.substr(std::min(end + 1, text.size()));
    if (line.empty()) {
      paragraph = true;
      continue;
    }
    const bool indented = line.starts_with(' ');
    out += example && (!indented || paragraph) ? ".fi\n" : "";
    out += !first && (paragraph || (indented && !example)) ? ".PP\n" : "";
    out += indented && (!example || paragraph) ? ".nf\n" : "";
    out += roff(line) + "\n";
    example = indented;
    paragraph = first = false;
  }
  if (example) {
    out += ".fi\n";
  }
}

std::string title(std::string name) {
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string page_head(const std::string& name, std::string_view summary, std::string_view version) {
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return ".TH " + upper + " 1 \"\" \"podsense " + roff(version) + "\" \"PodSense\"\n.SH NAME\n" +
         roff(name) + " \\- " + roff(summary) + "\n";
}

}  // namespace

std::string man_page(const Description& description, std::string_view version) {
  const std::string name = "podsense-" + title(description.name);
  std::string out = page_head(name, description.summary, version);
  out += ".SH SYNOPSIS\n.B podsense " + roff(description.name) + "\n";
  for (const FlagText& flag : description.flags) {
    out += flag.is_positional() ? "[\\fI" + roff(flag.names.front()) + "\\fR]\n" : "";
  }
  out += "[flags]\n";
  if (!description.text.empty()) {
    out += ".SH DESCRIPTION\n";
    append_text(out, description.text);
  }
  std::string group;
  for (const FlagText& flag : description.flags) {
    if (flag.group != group) {
      group = flag.group;
      std::string upper = group;
      std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
      out += ".SH " + roff(upper) + "\n";
    }
    out += ".TP\n";
    std::string names;
    for (const std::string& one : flag.names) {
      names += (names.empty() ? "" : ", ") + ("\\fB" + roff(one) + "\\fR");
    }
    const bool valued = !flag.value.empty() && !flag.is_positional();
    out += names + (valued ? " \\fI" + roff(flag.value) + "\\fR" : "") + "\n";
    out += roff(flag.help) + "\n";
  }
  if (!description.footer.empty()) {
    out += ".SH NOTES\n";
    append_text(out, description.footer);
  }
  return out + ".SH SEE ALSO\n.BR podsense (1)\n";
}

std::string overview_man_page(std::span<const Description> commands, std::string_view version) {
  std::string out =
      page_head("podsense", "serves ONNX models, and loads and checks servers", version);
  out += ".SH SYNOPSIS\n.B podsense\n.I COMMAND\n[flags]\n.SH COMMANDS\n";
  std::string see;
  for (const Description& command : commands) {
    out += ".TP\n.B podsense " + roff(command.name) + "\n" + roff(command.summary) + "\n";
    see += (see.empty() ? "" : " ,\n") + (".BR podsense\\-" + roff(title(command.name)) + " (1)");
  }
  return out + ".SH SEE ALSO\n" + see + "\n";
}

}  // namespace podsense::cli
