// SPDX-License-Identifier: Apache-2.0
#include "slurm/slurm_support.hpp"

#include <fstream>
#include <sstream>

#include "support/paths.hpp"

namespace mgrn::test {

namespace fs = std::filesystem;

std::string shell_line(const Words& words) {
  std::string line;
  for (const auto& word : words) {
    std::string quoted = "'";
    for (const char letter : word) {
      quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
    }
    line += (line.empty() ? "" : " ") + quoted + "'";
  }
  return line;
}

ProgramResult run_script(const std::string& script, const Words& arguments, const fs::path& folder,
                         const std::string& environment) {
  Words words = {source_path(script)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_shell("cd " + shell_line({folder.string()}) + " && " + environment + " " + shell_line(words));
}

fs::path write_script(const fs::path& file, const std::string& text) {
  {
    std::ofstream stream(file);
    stream << "#!/bin/bash\n" << text;
  }
  fs::permissions(file, fs::perms::owner_all);
  return file;
}

std::string content_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

fs::path write_grid_program(const fs::path& file, int tasks, const std::string& grid_run) {
  return write_script(file, R"(out="" share=""
for ((i = 1; i <= $#; ++i)); do
  next=$((i + 1))
  [[ ${!i} == --out ]] && out=${!next}
  [[ ${!i} == --chunk ]] && share=${!next}
done
if [[ $2 == plan ]]; then
  for ((i = 0; i < )" + std::to_string(tasks) +
                                R"(; ++i)); do mkdir -p "$out/tasks/task-$i"; done
  exit
fi
mkdir -p "$out/shares/$share"
printf '%s\n' "$*" >"$out/shares/$share/words"
)" + grid_run);
}

}  // namespace mgrn::test
