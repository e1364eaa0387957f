// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/run_record.hpp"

#include <exception>
#include <filesystem>
#include <utility>

#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/build_id.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

base::Json input_entry(const fs::path& file) {
  return {{"file", file.string()}, {"bytes", fs::file_size(file)}, {"sha256", base::sha256_of_file(file)}};
}

}  // namespace

std::optional<base::Json> finished_result(const RunFolder& folder, const Settings& settings,
                                          comm::Communicator& communicator) {
  std::string text;
  comm::agree(communicator, [&] {
    if (communicator.rank() != 0) {
      return;
    }
    if (const auto result = folder.finished(settings.config_text)) {
      text = base::json_line(*result);
    }
  });
  text = comm::broadcast_text(communicator, std::move(text));
  if (text.empty()) {
    return std::nullopt;
  }
  base::info(folder.path().string() + " is already complete; nothing is done again");
  return base::Json::parse(text);
}

void record_end(const RunFolder& folder, const comm::Communicator& communicator,
                const base::Error& error) noexcept {
  if (communicator.rank() != 0) {
    return;
  }
  try {
    const bool stopped = error.code() == base::ExitCode::stopped;
    if (stopped) {
      folder.mark_stopped(error.text().what);
    }
    folder.end(stopped ? "stopped" : error.text().what);
  } catch (const std::exception& second) {
    base::warn(std::string("the end of the run cannot be recorded: ") + second.what());
  }
}

base::Json run_facts(const Settings& settings, std::span<const Source> sources) {
  base::Json inputs = base::Json::array();
  for (const auto& source : sources) {
    // A dataset file carries its own checksums and is known by its id; hashing an atlas again takes minutes.
    inputs.push_back({{"file", source.paths.dataset.string()},
                      {"bytes", fs::file_size(source.paths.dataset)},
                      {"id", source.header.id},
                      {"sources", base::Json::parse(source.header.sources)}});
    inputs.push_back(input_entry(source.paths.network));
    inputs.push_back(input_entry(source.paths.tf_list));
  }
  for (const auto& file : {settings.split_file, settings.init, settings.target_split}) {
    if (!file.empty()) {
      inputs.push_back(input_entry(file));
    }
  }
  return {{"program", "multigrnformer"},
          {"version", program_version()},
          {"build", build_id()},
          {"c_library", c_library()},
          {"seeds", {{"pairs.seed", settings.split.seed}, {"train.seed", settings.seed}}},
          {"inputs", inputs}};
}

base::Json gathered_names(comm::Communicator& communicator, const std::string& mine) {
  base::Json names = base::Json::array();
  for (const auto& bytes : communicator.all_gather(std::as_bytes(std::span(mine)))) {
    const auto letters = comm::from_bytes<char>(bytes);
    names.push_back(std::string(letters.begin(), letters.end()));
  }
  return names;
}

std::vector<formats::NamedEdge> training_positives(const Source& source) {
  std::vector<formats::NamedEdge> edges;
  for (const auto& pair : source.split.pairs) {
    if (pair.set != pairs::Set::test && pair.label == 1) {
      edges.push_back({source.header.genes[pair.tf], source.header.genes[pair.gene]});
    }
  }
  return edges;
}

}  // namespace mgrn::train
