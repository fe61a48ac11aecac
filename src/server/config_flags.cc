#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/ascii.h"
#include "base/text.h"
#include "server/config_sources.h"

namespace podsense::server {

namespace {

/// CLI11 only separates options from values. Everything else (types, unknown names, reporting all
/// faults) is done here, because CLI11 stops at the first fault.
class FlagParser {
 public:
  FlagParser() : app_("", "podsense serve") {
    app_.allow_extras();
    app_.set_help_flag();
    help_ = app_.add_flag("-h,--help");
    print_config_ = app_.add_flag("--print-config");
    config_ = app_.add_option("--config");
    for (const Setting& setting : settings()) {
      const std::string flag = "--" + std::string(setting.flag);
      const bool boolean = setting.value.shape == Accessor::Shape::kBoolean;
      options_[&setting] = boolean ? app_.add_flag(flag + ",!--no-" + std::string(setting.flag))
                                   : app_.add_option(flag);
    }
    for (CLI::Option* option : app_.get_options()) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }

  FlagReading read(std::span<const char* const> arguments) {
    parse(split_empty_values(arguments));
    if (help_->count() > 0) {
      return {{}, Action::kHelp, std::nullopt};
    }
    reading_.action = print_config_->count() > 0 ? Action::kPrintConfig : Action::kServe;
    if (!config_->results().empty()) {
      reading_.config_file = config_->results().back();
    }
    for (const Setting& setting : settings()) {
      collect(setting);
    }
    report_extras();
    return std::move(reading_);
  }

 private:
  /// CLI11 treats `--x= y` as `--x y`; here `--x=` sets the empty value.
  std::vector<std::string> split_empty_values(std::span<const char* const> arguments) {
    std::vector<std::string> out;
    for (const std::string argument : arguments) {
      const std::string name = argument.substr(0, argument.find('='));
      const CLI::Option* option = argument.size() == name.size() + 1 && name.starts_with("--")
                                      ? app_.get_option_no_throw(name)
                                      : nullptr;
      if (option == nullptr) {
        out.push_back(argument);
      } else if (option->get_expected_max() == 0) {
        reading_.faults.push_back(name + ": has an empty value");
      } else {
        out.push_back(name);
        out.emplace_back();
      }
    }
    return out;
  }

  void parse(std::vector<std::string> arguments) {
    const std::string last = arguments.empty() ? std::string() : arguments.back();
    std::ranges::reverse(arguments);  // CLI11's order
    try {
      app_.parse(arguments);
    } catch (const CLI::ArgumentMismatch&) {
      // An option takes the next argument as its value, so only the last one can lack a value; all
      // others have been read.
      reading_.faults.push_back(last + ": needs a value");
    } catch (const CLI::Error& error) {
      reading_.faults.emplace_back(error.what());
    }
  }

  void collect(const Setting& setting) {
    const auto& results = options_.at(&setting)->results();
    if (results.empty()) {
      return;
    }
    const std::string flag = "--" + std::string(setting.flag);
    Given given{&setting, {}, flag, "flag " + flag};
    if (setting.value.is_list()) {
      for (const std::string& result : results) {
        std::ranges::move(words_of(setting, result), std::back_inserter(given.words));
      }
    } else {
      given.words = {results.back()};
    }
    reading_.given.push_back(std::move(given));
  }

  void report_extras() {
    bool after_unknown_flag = false;
    for (const std::string& extra : app_.remaining()) {
      const bool flag = extra.starts_with('-') && extra != "-" && extra != "--";
      if (flag) {
        reading_.faults.push_back(unknown_flag(extra.substr(0, extra.find('='))));
      } else if (extra != "--" && !after_unknown_flag) {  // otherwise probably that flag's value
        reading_.faults.push_back("unexpected argument " + in_quotes(extra));
      }
      after_unknown_flag = flag && !extra.contains('=');
    }
  }

  [[nodiscard]] std::string unknown_flag(const std::string& flag) const {
    const auto bare = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    if (const std::string replaced = replaced_by(bare); !replaced.empty()) {
      return "unknown flag " + in_quotes(flag) + replaced;
    }
    std::vector<std::string> names{"help", "print-config", "config"};
    for (const Setting& setting : settings()) {
      names.emplace_back(setting.flag);
      if (setting.value.shape == Accessor::Shape::kBoolean) {
        names.push_back("no-" + names.back());
      }
    }
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    std::string probe = ascii::lower(bare);
    std::ranges::replace(probe, '_', '-');
    const std::string_view nearest = nearest_name(probe, candidates);
    return "unknown flag " + in_quotes(flag) +
           (nearest.empty() ? "; see podsense serve --help"
                            : "; did you mean --" + std::string(nearest) + "?");
  }

  CLI::App app_;
  CLI::Option* help_ = nullptr;
  CLI::Option* print_config_ = nullptr;
  CLI::Option* config_ = nullptr;
  std::map<const Setting*, CLI::Option*> options_;
  FlagReading reading_;
};

}  // namespace

FlagReading read_flags(std::span<const char* const> arguments) {
  return FlagParser().read(arguments);
}

}  // namespace podsense::server
