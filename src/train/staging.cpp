// SPDX-License-Identifier: Apache-2.0
#include "staging.hpp"

#include <span>
#include <string>
#include <system_error>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 12;

// Datasets of two folders may have one name.
fs::path copy_of(const fs::path& file, const fs::path& folder) {
  const std::string place = fs::absolute(file).lexically_normal().string();
  const std::string digits = base::sha256(std::as_bytes(std::span(place))).substr(0, kDigits);
  return folder / (digits + "-" + file.filename().string());
}

bool is_copy(const fs::path& copy, const fs::path& file) {
  std::error_code code;
  return fs::exists(copy, code) && fs::file_size(copy, code) == fs::file_size(file) &&
         fs::last_write_time(copy, code) == fs::last_write_time(file) && !code;
}

void make_copy(const fs::path& file, const fs::path& copy) {
  if (is_copy(copy, file)) {
    return;
  }
  base::create_directories(copy.parent_path());
  base::require_free_space(copy.parent_path(), fs::file_size(file), "the staged copy of a dataset");
  base::AtomicFile target(copy);
  std::error_code code;
  fs::copy_file(file, target.temporary(), fs::copy_options::overwrite_existing, code);
  if (!code) {
    fs::last_write_time(target.temporary(), fs::last_write_time(file), code);
  }
  if (code) {
    throw base::OutputError({.what = "a dataset cannot be copied to data.stage",
                             .file = copy.string(),
                             .expected = "a copy of " + file.string(),
                             .got = code.message(),
                             .hint = "check that the folder is on the node's own disk and that you may write "
                                     "there, or leave data.stage out"});
  }
  target.commit();
  base::info(file.string() + " is copied to " + copy.string());
}

}  // namespace

Settings stage_datasets(const Settings& settings, comm::Communicator& communicator,
                        std::map<fs::path, fs::path>& originals) {
  Settings staged = settings;
  if (settings.stage.empty()) {
    return staged;
  }
  const auto node = communicator.split_by_node();
  comm::agree(communicator, [&] {
    const auto stage = [&](fs::path& file) {
      if (file.empty() || !fs::is_regular_file(file)) {
        return;
      }
      const fs::path copy = copy_of(file, settings.stage);
      if (node->rank() == 0) {
        make_copy(file, copy);
      }
      originals[copy] = file;
      file = copy;
    };
    for (auto& dataset : staged.datasets) {
      stage(dataset);
    }
    stage(staged.target);
  });
  return staged;
}

}  // namespace mgrn::train
