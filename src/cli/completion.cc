#include <algorithm>

#include "cli/description.h"

namespace podsense::cli {
namespace {

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    out.append(out.empty() ? "" : between).append(word);
  }
  return out;
}

/// Quotes text with single quotes, valid in every shell.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return out + "'";
}

/// Whether it is a top-level command: "load", not "load merge".
bool is_first_word(const Description& command) {
  return command.name.find(' ') == command.name.npos;
}

std::vector<std::string> command_names(std::span<const Description> commands) {
  std::vector<std::string> names;
  for (const Description& command : commands) {
    if (is_first_word(command)) {
      names.push_back(command.name);
    }
  }
  return names;
}

/// "merge" of "load".
std::vector<std::string> subcommands(const Description& command,
                                     std::span<const Description> commands) {
  std::vector<std::string> words;
  for (const Description& other : commands) {
    if (other.name.starts_with(command.name + " ")) {
      words.push_back(other.name.substr(command.name.size() + 1));
    }
  }
  return words;
}

/// The positional argument of a command; nullptr: none.
const FlagText* positional(const Description& command) {
  const auto found = std::ranges::find_if(command.flags, &FlagText::is_positional);
  return found == command.flags.end() ? nullptr : &*found;
}
bool takes_files(const Description& command) {
  const FlagText* const word = positional(command);
  return word != nullptr && (word->takes_file() || word->takes_folder());
}
bool takes_commands(const Description& command) {
  const FlagText* const word = positional(command);
  return word != nullptr && word->value == kCommandValue;
}

/// The possible words after the command: subcommands, choices, commands.
std::vector<std::string> second_words(const Description& command,
                                      std::span<const Description> commands) {
  if (takes_commands(command)) {
    std::vector<std::string> words = command_names(commands);
    std::erase(words, "help");
    return words;
  }
  std::vector<std::string> words = subcommands(command, commands);
  if (const FlagText* const word = positional(command); word != nullptr) {
    const auto choices = word->choices();
    words.insert(words.end(), choices.begin(), choices.end());
  }
  return words;
}

/// Adds `help`, which has no flags but is completed like a command.
std::vector<Description> with_help(std::span<const Description> commands) {
  std::vector<Description> all(commands.begin(), commands.end());
  all.push_back({.name = "help",
                 .summary = "help of a command",
                 .text = {},
                 .flags = {{.names = {"command"}, .value = kCommandValue, .help = {}, .group = {}}},
                 .footer = {}});
  return all;
}

std::string bash_case(const Description& command, std::span<const Description> commands) {
  std::string out = "    " + in_quotes(command.name) + ")\n      case $previous in\n";
  std::vector<std::string> all;
  for (const FlagText& flag : command.flags) {
    if (flag.is_positional()) {
      continue;
    }
    all.insert(all.end(), flag.names.begin(), flag.names.end());
    if (flag.value.empty()) {
      continue;
    }
    out += "        " + joined(flag.names, "|") + ") ";
    if (const auto choices = flag.choices(); !choices.empty()) {
      out += "words=" + in_quotes(joined(choices, " "));
    } else if (flag.takes_file()) {
      out += "kind=file";
    } else if (flag.takes_folder()) {
      out += "kind=directory";
    } else {
      out += "kind=none";
    }
    out += " ;;\n";
  }
  out += "        *)\n          flags=" + in_quotes(joined(all, " ")) +
         (takes_files(command) ? "; kind=file\n" : "\n");
  if (const auto words = second_words(command, commands); !words.empty()) {
    out += "          [ \"$COMP_CWORD\" -ne 2 ] || words=" + in_quotes(joined(words, " ")) + "\n";
  }
  if (takes_commands(command)) {
    out += "          [ \"$COMP_CWORD\" -ne 3 ] || case ${COMP_WORDS[2]} in\n";
    for (const Description& other : commands) {
      if (const auto words = subcommands(other, commands); !words.empty()) {
        out += "            " + other.name + ") words=" + in_quotes(joined(words, " ")) + " ;;\n";
      }
    }
    out += "          esac\n";
  }
  return out + "          ;;\n      esac ;;\n";
}

std::string bash(std::span<const Description> commands) {
  std::string out = R"(# bash completion of podsense; source it, or put it into
# ~/.local/share/bash-completion/completions/podsense
_podsense() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local words='' flags='' kind=''
  COMPREPLY=()
  # bash splits --flag=value at the sign.
  if [ "$current" = = ]; then
    current=''
  elif [ "$previous" = = ]; then
    previous=${COMP_WORDS[COMP_CWORD-2]}
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W )" +
                    in_quotes(joined(command_names(commands), " ")) +
                    R"( -- "$current")
    return
  fi
)";
  for (const Description& command : commands) {
    if (!is_first_word(command)) {
      out += "  [ \"$command ${COMP_WORDS[2]}\" != " + in_quotes(command.name) +
             " ] || [ \"$COMP_CWORD\" -lt 3 ] || command=" + in_quotes(command.name) + "\n";
    }
  }
  out += "  case $command in\n";
  for (const Description& command : commands) {
    out += bash_case(command, commands);
  }
  return out + R"(  esac
  case $current in
    -*) words=$flags kind='' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  case $kind in
    file) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
    directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
  esac
}
complete -F _podsense podsense
)";
}

/// Escapes characters that are special in zsh's flag descriptions.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out;
}

std::string zsh_value(const FlagText& flag) {
  if (flag.value.empty()) {
    return {};
  }
  std::string out = ":" + zsh_text(flag.value) + ":";
  if (const auto choices = flag.choices(); !choices.empty()) {
    return out + "(" + joined(choices, " ") + ")";
  }
  return out + (flag.takes_file() ? "_files" : flag.takes_folder() ? "_files -/" : " ");
}

/// The function that completes subcommands of the previous word.
std::string zsh_subcommands(std::span<const Description> commands) {
  std::string out = "_podsense_subcommands() {\n  case $words[CURRENT-1] in\n";
  for (const Description& command : commands) {
    if (const auto words = subcommands(command, commands); !words.empty()) {
      out += "    " + command.name + ") compadd " + joined(words, " ") + " ;;\n";
    }
  }
  return out + "  esac\n}\n";
}

std::string zsh_case(const Description& command, std::span<const Description> commands) {
  std::string out = "    " + in_quotes(command.name) + ")\n      _arguments -s";
  const auto argument = [&out](const std::string& text) {
    out += " \\\n        " + in_quotes(text);
  };
  for (const FlagText& flag : command.flags) {
    if (flag.is_positional()) {
      continue;
    }
    for (const std::string& name : flag.names) {
      argument("*" + name + (flag.value.empty() || !name.starts_with("--") ? "" : "=") + "[" +
               zsh_text(flag.help) + "]" + zsh_value(flag));
    }
  }
  const auto words = second_words(command, commands);
  if (!words.empty()) {
    argument("1:word:" + (takes_files(command) ? "{compadd " + joined(words, " ") + "; _files}"
                                               : "(" + joined(words, " ") + ")"));
  }
  if (takes_commands(command)) {
    argument("2:word:_podsense_subcommands");
  } else if (takes_files(command)) {
    argument("*:file:_files");
  }
  return out + " ;;\n";
}

std::string zsh(std::span<const Description> commands) {
  std::string out =
      "#compdef podsense\n# zsh completion of podsense; put it as _podsense into a folder of "
      "$fpath, or source it\n" +
      zsh_subcommands(commands) + "_podsense() {\n  local -a commands\n  commands=(\n";
  for (const Description& command : commands) {
    if (is_first_word(command)) {
      out += "    " + in_quotes(command.name + ":" + zsh_text(command.summary)) + "\n";
    }
  }
  out +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
      "  local command=$words[2]\n";
  for (const Description& command : commands) {
    if (!is_first_word(command)) {
      out += "  if [[ \"$words[2] $words[3]\" == " + in_quotes(command.name) +
             " ]] && (( CURRENT > 3 )); then command=" + in_quotes(command.name) +
             "; shift words; (( CURRENT-- )); fi\n";
    }
  }
  out += "  shift words; (( CURRENT-- ))\n  case $command in\n";
  for (const Description& command : commands) {
    out += zsh_case(command, commands);
  }
  return out +
         "  esac\n}\nif [ \"$funcstack[1]\" = _podsense ]; then\n  _podsense\nelse\n"
         "  compdef _podsense podsense\nfi\n";
}

/// The condition that this command, and none of its subcommands, is being typed.
std::string fish_condition(const Description& command, std::span<const Description> commands) {
  std::string when = "__podsense_in " + command.name;
  for (const std::string& word : subcommands(command, commands)) {
    when += "; and not __podsense_in " + command.name + " " + word;
  }
  return when;
}

std::string fish_flag(const FlagText& flag, const std::string& begin) {
  std::string out = begin;
  for (const std::string& name : flag.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (const auto choices = flag.choices(); !choices.empty()) {
    out += " -x -a " + in_quotes(joined(choices, " "));
  } else if (!flag.value.empty()) {
    out += flag.takes_file()     ? " -r -F"
           : flag.takes_folder() ? " -x -a '(__fish_complete_directories)'"
                                 : " -x";
  }
  return out + " -d " + in_quotes(flag.help) + "\n";
}

std::string fish(std::span<const Description> commands) {
  std::string out =
      R"(# fish completion of podsense; put it into ~/.config/fish/completions/podsense.fish
# Whether the words after podsense begin with these.
function __podsense_in
  set -l words (commandline -opc)
  set -e words[1]
  test (count $words) -ge (count $argv); or return 1
  for i in (seq (count $argv))
    test "$words[$i]" = "$argv[$i]"; or return 1
  end
end
# Whether so many words stand before the one that is being typed, podsense among them.
function __podsense_after
  test (count (commandline -opc)) -eq $argv[1]
end
complete -c podsense -f
)";
  for (const Description& command : commands) {
    if (is_first_word(command)) {
      out += "complete -c podsense -n '__podsense_after 1' -f -a " + in_quotes(command.name) +
             " -d " + in_quotes(command.summary) + "\n";
    }
  }
  const auto offer = [&out](const std::string& when, const std::string& words) {
    out += "complete -c podsense -n " + in_quotes(when) + " -f -a " + in_quotes(words) + "\n";
  };
  for (const Description& command : commands) {
    const std::string when = fish_condition(command, commands);
    if (const auto words = second_words(command, commands); !words.empty()) {
      offer("__podsense_after 2; and __podsense_in " + command.name, joined(words, " "));
    }
    if (takes_commands(command)) {
      for (const Description& other : commands) {
        if (const auto words = subcommands(other, commands); !words.empty()) {
          offer("__podsense_after 3; and __podsense_in " + command.name + " " + other.name,
                joined(words, " "));
        }
      }
    }
    const std::string begin = "complete -c podsense -n " + in_quotes(when);
    out += takes_files(command) ? begin + " -F\n" : "";
    for (const FlagText& flag : command.flags) {
      out += flag.is_positional() ? "" : fish_flag(flag, begin);
    }
  }
  return out;
}

}  // namespace

std::string completion_script(Shell shell, std::span<const Description> described) {
  const std::vector<Description> commands = with_help(described);
  switch (shell) {
    case Shell::kBash:
      return bash(commands);
    case Shell::kZsh:
      return zsh(commands);
    case Shell::kFish:
      return fish(commands);
  }
  return {};
}

}  // namespace podsense::cli
