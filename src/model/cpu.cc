#include "model/cpu.h"

#include <fstream>
#include <string_view>

namespace podsense::model {

std::string cpu_description(const std::filesystem::path& cpuinfo) {
  std::ifstream file(cpuinfo);
  std::string out;
  for (std::string line; std::getline(file, line) && !line.empty();) {  // the first core's block
    for (const std::string_view wanted :
         {"vendor_id", "cpu family", "model", "stepping", "flags",  // x86-64
          "CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features"}) {
      if (line.starts_with(wanted)) {
        out += line + '\n';
        break;
      }
    }
  }
  return out;
}

}  // namespace podsense::model
