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

/// In single quotes, for every shell.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return out + "'";
}

std::vector<std::string> command_names(std::span<const Description> commands) {
  std::vector<std::string> names;
  for (const Description& command : commands) {
    if (command.name.find(' ') == command.name.npos) {
      names.push_back(command.name);
    }
  }
  return names;
}

/// "load merge" is completed as a word after "load", and so are the choices of a word of its own.
std::vector<std::string> second_words(const Description& command,
                                      std::span<const Description> commands) {
  std::vector<std::string> words;
  for (const Description& other : commands) {
    if (other.name.starts_with(command.name + " ")) {
      words.push_back(other.name.substr(command.name.size() + 1));
    }
  }
  for (const FlagText& flag : command.flags) {
    if (flag.is_positional()) {
      const auto choices = flag.choices();
      words.insert(words.end(), choices.begin(), choices.end());
    }
  }
  return words;
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
  const auto words = second_words(command, commands);
  return out + "        *) flags=" + in_quotes(joined(all, " ")) +
         "; words=" + in_quotes(joined(words, " ")) + "; kind=file ;;\n      esac ;;\n";
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
    COMPREPLY=($(compgen -W )" +
                    in_quotes(joined(command_names(commands), " ") + " help version") +
                    R"( -- "$current"))
    return
  fi
)";
  for (const Description& command : commands) {
    const std::size_t blank = command.name.find(' ');
    if (blank != command.name.npos) {
      out += "  [ \"$command ${COMP_WORDS[2]}\" != " + in_quotes(command.name) +
             " ] || [ \"$COMP_CWORD\" -lt 3 ] || command=" + in_quotes(command.name) + "\n";
    }
  }
  out += "  case $command in\n    help) words=" + in_quotes(joined(command_names(commands), " ")) +
         " ;;\n";
  for (const Description& command : commands) {
    out += bash_case(command, commands);
  }
  return out + R"(  esac
  case $current in
    -*) words=$flags kind='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case $kind in
    file) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$current")) ;;
    directory) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$current")) ;;
  esac
}
complete -F _podsense podsense
)";
}

/// What zsh takes for special in the text of a flag.
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

std::string zsh(std::span<const Description> commands) {
  std::string out = R"(#compdef podsense
# zsh completion of podsense; put it as _podsense into a folder of $fpath, or source it
_podsense() {
  local -a commands
  commands=(
)";
  for (const Description& command : commands) {
    if (command.name.find(' ') == command.name.npos) {
      out += "    " + in_quotes(command.name + ":" + zsh_text(command.summary)) + "\n";
    }
  }
  out +=
      "    'help:help of a command'\n    'version:version and build'\n  )\n"
      "  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
      "  local command=$words[2]\n";
  for (const Description& command : commands) {
    const std::size_t blank = command.name.find(' ');
    if (blank != command.name.npos) {
      out += "  if [[ \"$words[2] $words[3]\" == " + in_quotes(command.name) +
             " ]] && (( CURRENT > 3 )); then command=" + in_quotes(command.name) + "; fi\n";
    }
  }
  out +=
      "  shift words; (( CURRENT-- ))\n  case $command in\n"
      "    help) _describe command commands ;;\n";
  for (const Description& command : commands) {
    out += "    " + in_quotes(command.name) + ")\n      _arguments -s";
    for (const FlagText& flag : command.flags) {
      if (flag.is_positional()) {
        continue;
      }
      for (const std::string& name : flag.names) {
        out += " \\\n        " +
               in_quotes("*" + name + (flag.value.empty() || !name.starts_with("--") ? "" : "=") +
                         "[" + zsh_text(flag.help) + "]" + zsh_value(flag));
      }
    }
    const auto words = second_words(command, commands);
    out += " \\\n        " +
           in_quotes(words.empty() ? "*:file:_files" : "1:word:(" + joined(words, " ") + ")") +
           " ;;\n";
  }
  return out +
         "  esac\n}\nif [ \"$funcstack[1]\" = _podsense ]; then\n  _podsense\nelse\n"
         "  compdef _podsense podsense\nfi\n";
}

std::string fish(std::span<const Description> commands) {
  std::string out =
      "# fish completion of podsense; put it into ~/.config/fish/completions/podsense.fish\n";
  for (const Description& command : commands) {
    if (command.name.find(' ') == command.name.npos) {
      out += "complete -c podsense -n __fish_use_subcommand -f -a " + in_quotes(command.name) +
             " -d " + in_quotes(command.summary) + "\n";
    }
  }
  out +=
      "complete -c podsense -n __fish_use_subcommand -f -a help -d 'help of a command'\n"
      "complete -c podsense -n __fish_use_subcommand -f -a version -d 'version and build'\n"
      "complete -c podsense -n '__fish_seen_subcommand_from help' -f -a " +
      in_quotes(joined(command_names(commands), " ")) + "\n";
  for (const Description& command : commands) {
    const std::size_t blank = command.name.find(' ');
    std::string when = "__fish_seen_subcommand_from " + command.name.substr(0, blank);
    if (blank != command.name.npos) {
      when += "; and __fish_seen_subcommand_from " + command.name.substr(blank + 1);
      out += "complete -c podsense -n " +
             in_quotes("__fish_seen_subcommand_from " + command.name.substr(0, blank)) + " -a " +
             in_quotes(command.name.substr(blank + 1)) + " -d " + in_quotes(command.summary) + "\n";
    }
    for (const FlagText& flag : command.flags) {
      if (flag.is_positional()) {
        if (const auto choices = flag.choices(); !choices.empty()) {
          out += "complete -c podsense -n " + in_quotes(when) + " -f -a " +
                 in_quotes(joined(choices, " ")) + "\n";
        }
        continue;
      }
      out += "complete -c podsense -n " + in_quotes(when);
      for (const std::string& name : flag.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (const auto choices = flag.choices(); !choices.empty()) {
        out += " -x -a " + in_quotes(joined(choices, " "));
      } else if (!flag.value.empty()) {
        out += flag.takes_file() || flag.takes_folder() ? " -r -F" : " -x";
      }
      out += " -d " + in_quotes(flag.help) + "\n";
    }
  }
  return out;
}

}  // namespace

std::string completion_script(Shell shell, std::span<const Description> commands) {
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
