// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/json.hpp"

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::base {

std::string json_text(const Json& value) {
  return value.dump(2) + "\n";
}

std::string json_line(const Json& value) {
  return value.dump();
}

Json read_json(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw DataError({.what = "not valid JSON",
                     .file = file.string(),
                     .got = error.what(),
                     .hint = "the file is damaged or of another kind; make it again"});
  }
}

}  // namespace mgrn::base
