// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/checkpoint.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/formats/safetensors.hpp"
#include "multigrnformer/model/devices.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/resolved_config.hpp"
#include "multigrnformer/train/weights.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestFormat = 2;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kPrefix = "step-";
constexpr const char* kOwnDigest = "sha256";
constexpr const char* kLeaving = ".tmp-leaving";

// What the optimiser's vectors are called: Adam has two, SGD its momentum alone.
constexpr const char* kSecond = "adam.second.";
const char* first_prefix(const TrainingState& state) {
  return state.second_moment.empty() ? "sgd.momentum." : "adam.first.";
}

std::string folder_name(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%09lld", kPrefix, static_cast<long long>(step));
  return name;
}

// Steps of the checkpoints in a folder, newest first.
std::vector<std::int64_t> steps_in(const fs::path& folder) {
  std::vector<std::int64_t> steps;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    const std::string digits = name.rfind(kPrefix, 0) == 0 ? name.substr(5) : std::string();
    if (!digits.empty() && digits.size() <= 18 &&
        digits.find_first_not_of("0123456789") == std::string::npos) {
      steps.push_back(std::stoll(digits));
    }
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

base::Json file_entry(const fs::path& file) {
  return {{"bytes", fs::file_size(file)}, {"sha256", base::sha256_of_file(file)}};
}

void verify_file(const fs::path& folder, const std::string& name, const base::Json& entry) {
  const fs::path file = folder / name;
  std::error_code code;
  const auto bytes = fs::file_size(file, code);
  const auto expected_bytes = entry.at("bytes").get<std::uintmax_t>();
  if (code || bytes != expected_bytes) {
    throw base::DataError({.what = "a checkpoint's file has another size than its manifest says",
                           .file = file.string(),
                           .expected = std::to_string(expected_bytes) + " bytes",
                           .got = code ? "no such file" : std::to_string(bytes)});
  }
  const auto expected = entry.at("sha256").get<std::string>();
  const std::string digest = base::sha256_of_file(file);
  if (digest != expected) {
    throw base::DataError({.what = "a checkpoint's file has another checksum than its manifest says",
                           .file = file.string(),
                           .expected = expected,
                           .got = digest});
  }
}

std::string digest_of(const std::string& text) {
  return base::sha256(std::as_bytes(std::span(text)));
}

// The manifest's text carries the digest of its text without that digest: it holds numbers of the training
// state, which no other file could contradict.
void seal(base::Json& manifest) {
  manifest.erase(kOwnDigest);
  manifest[kOwnDigest] = digest_of(base::json_text(manifest));
}

void verify_seal(const base::Json& manifest, const std::string& text, const fs::path& file) {
  base::Json again = manifest;
  seal(again);
  // The text as well: what parses to the same may still not be what was written.
  if (again != manifest || base::json_text(manifest) != text) {
    throw base::DataError({.what = "a checkpoint's manifest has another checksum than it says",
                           .file = file.string(),
                           .expected = again.at(kOwnDigest).get<std::string>(),
                           .got = manifest.value(kOwnDigest, std::string("nothing"))});
  }
}

// Reads the manifest and compares both files with it. Throws DataError for anything that is amiss.
base::Json verified_manifest(const fs::path& folder) {
  base::Json manifest = base::read_json(folder / kManifest);
  try {
    const int format = manifest.at("format").get<int>();
    if (format != kManifestFormat) {
      throw base::DataError({.what = "a checkpoint of another format",
                             .file = folder.string(),
                             .expected = "format " + std::to_string(kManifestFormat),
                             .got = std::to_string(format)});
    }
    verify_seal(manifest, base::read_file(folder / kManifest), folder / kManifest);
    for (const char* name : {kModel, kOptimizer}) {
      verify_file(folder, name, manifest.at("files").at(name));
    }
    static_cast<void>(manifest.at("config").get<std::string>());
    static_cast<void>(manifest.at("engine").get<std::string>());
    static_cast<void>(manifest.at("build").get<std::string>());
    static_cast<void>(manifest.at("inputs"));
    static_cast<void>(manifest.at("state"));
  } catch (const base::Json::exception& error) {
    throw base::DataError(
        {.what = "a checkpoint's manifest is incomplete", .file = folder.string(), .got = error.what()});
  }
  return manifest;
}

// The vectors of a state in the order in which they travel.
std::vector<std::span<float>> vectors_of(TrainingState& state) {
  std::vector<std::span<float>> vectors = {state.parameters.values(), state.first_moment,
                                           state.second_moment};
  if (state.best) {
    vectors.emplace_back(state.best->values);
  }
  return vectors;
}

void read_vectors(const fs::path& folder, TrainingState& state) {
  state.parameters = read_weights(folder / kModel, state.parameters).parameters;
  const fs::path file = folder / kOptimizer;
  const formats::TensorFile optimizer = formats::read_safetensors(file);
  take_tensors(optimizer, state.parameters, state.first_moment, file, first_prefix(state));
  if (!state.second_moment.empty()) {
    take_tensors(optimizer, state.parameters, state.second_moment, file, kSecond);
  }
  if (state.best) {
    take_tensors(optimizer, state.parameters, state.best->values, file, "best.");
  }
}

void require_same_work(const base::Json& manifest, const Identity& identity, const fs::path& folder) {
  require_same_config(manifest.at("config").get<std::string>(), identity.config_text, folder,
                      keys_compared_by_content());
  const auto engine = manifest.at("engine").get<std::string>();
  // The processor's kernels can be chosen where a run goes on elsewhere, the kind of device cannot.
  if (model::is_gpu_engine(engine) != model::is_gpu_engine(identity.engine)) {
    base::warn("the checkpoint was made by engine " + engine + ", this is " + identity.engine +
               ": the run goes on, but its last bits will differ from those of a run on one kind of device");
  } else if (engine != identity.engine) {
    throw base::UsageError(
        {.what = "this checkpoint was made by another engine: its bits would not go on",
         .file = folder.string(),
         .expected = engine,
         .got = identity.engine,
         .hint = "set train.engine and train.isa to those, or choose another folder with --out"});
  }
  const base::Json& inputs = manifest.at("inputs");
  for (const auto& [name, digest] : identity.inputs) {
    if (!inputs.contains(name) || inputs[name] != digest) {
      throw base::DataError(
          {.what = "this checkpoint was made from another " + name,
           .file = folder.string(),
           .expected = inputs.contains(name) ? inputs[name].dump() : "none",
           .got = base::Json(digest).dump(),
           .hint = "give the inputs that the run began with, or choose another folder with --out"});
    }
  }
  if (const auto build = manifest.at("build").get<std::string>(); build != identity.build_id) {
    base::warn("the checkpoint was written by another build (" + build + ", this is " + identity.build_id +
               "): the run goes on, but its last bits may differ from an uninterrupted one");
  }
}

// A program that was killed leaves its half-written folder behind.
void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> stale;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind(std::string(".") + kPrefix, 0) == 0 && name.find(".tmp-") != std::string::npos) {
      stale.push_back(entry->path());
    }
  }
  for (const auto& path : stale) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
}

// Whichever layer notices what goes wrong while a checkpoint is saved, it is the output that failed.
template <typename Work>
void as_output(const fs::path& checkpoint, Work&& work) {
  constexpr const char* kHint =
      "check the disk and the space on it; the same command goes on from the checkpoint before";
  try {
    work();
  } catch (const base::DataError& error) {
    throw base::OutputError({.what = "cannot read back what was just written: " + error.text().what,
                             .file = error.text().file,
                             .got = error.text().got,
                             .hint = kHint});
  } catch (const fs::filesystem_error& error) {
    throw base::OutputError({.what = "cannot write a checkpoint",
                             .file = checkpoint.string(),
                             .got = error.code().message(),
                             .hint = kHint});
  }
}

}  // namespace

void require_same_config(const std::string& before, const std::string& now, const fs::path& folder,
                         std::span<const std::string_view> ignored) {
  if (const auto difference = first_difference(before, now, ignored)) {
    throw base::UsageError({.what = "the folder holds work with another setting of " + difference->key,
                            .file = folder.string(),
                            .expected = difference->key + " = " + difference->before,
                            .got = difference->now.empty() ? "nothing" : difference->now,
                            .hint = "use that setting again, or choose another folder with --out"});
  }
}

CheckpointStore::CheckpointStore(const fs::path& run, int keep)
    : folder_(run / "checkpoints"), keep_(std::max(1, keep)) {}

fs::path CheckpointStore::folder_of(std::int64_t step) const {
  return folder_ / folder_name(step);
}

bool CheckpointStore::any() const {
  return !steps_in(folder_).empty();
}

std::string CheckpointStore::newest_engine() const {
  for (const auto step : steps_in(folder_)) {
    try {
      return base::read_json(folder_of(step) / kManifest).at("engine").get<std::string>();
    } catch (const base::DataError&) {
      continue;  // restore() tells of it
    } catch (const base::Json::exception&) {
      continue;
    }
  }
  return {};
}

void CheckpointStore::write(const TrainingState& state, const Identity& identity) {
  as_output(folder_of(state.step), [&] {
    base::create_directories(folder_);
    // Only a checkpoint that did not verify can be in the way: a good one would have been gone on from.
    remove_checkpoint(state.step);
    base::AtomicDirectory directory(folder_of(state.step));
    write_weights(directory.temporary() / kModel, state.parameters);
    formats::TensorFile optimizer;
    optimizer.metadata = network_metadata(state.parameters);
    add_tensors(optimizer, state.parameters, state.first_moment, first_prefix(state));
    if (!state.second_moment.empty()) {
      add_tensors(optimizer, state.parameters, state.second_moment, kSecond);
    }
    if (state.best) {
      add_tensors(optimizer, state.parameters, state.best->values, "best.");
    }
    formats::write_safetensors(directory.temporary() / kOptimizer, optimizer);
    base::Json manifest = {{"format", kManifestFormat},
                           {"program", "multigrnformer " + program_version()},
                           {"build", identity.build_id},
                           {"engine", identity.engine},
                           {"config", identity.config_text},
                           {"config_sha256", digest_of(identity.config_text)},
                           {"inputs", identity.inputs},
                           {"step", state.step},
                           {"epoch", state.epoch},
                           {"state", scalars_of(state)},
                           {"files",
                            {{kModel, file_entry(directory.temporary() / kModel)},
                             {kOptimizer, file_entry(directory.temporary() / kOptimizer)}}}};
    seal(manifest);
    base::write_file_atomically(directory.temporary() / kManifest, base::json_text(manifest));
    directory.commit();
  });
  remove_others(state.step);
}

// Hidden by one rename before its files go: a checkpoint that can be seen is whole, also after a kill in
// here.
std::error_code CheckpointStore::remove_checkpoint(std::int64_t step) const {
  const fs::path hidden = folder_ / ("." + folder_name(step) + kLeaving);
  std::error_code code;
  fs::remove_all(hidden, code);
  fs::rename(folder_of(step), hidden, code);
  if (!code) {
    fs::remove_all(hidden, code);
  }
  return code == std::errc::no_such_file_or_directory ? std::error_code() : code;
}

// A checkpoint of a later step than the newest was broken when this run went on from an earlier one; it must
// not take the place of a good one among those that stay.
void CheckpointStore::remove_others(std::int64_t newest) const {
  int kept = 0;
  for (const auto step : steps_in(folder_)) {
    if (step <= newest && kept < keep_) {
      ++kept;
    } else if (const auto code = remove_checkpoint(step)) {
      base::warn("cannot remove the old checkpoint " + folder_of(step).string() + ": " + code.message());
    }
  }
}

bool CheckpointStore::restore(comm::Communicator& communicator, const Identity& identity,
                              TrainingState& state) const {
  TrainingState found = state;
  std::string scalars;
  comm::agree(communicator, [&] {
    if (communicator.rank() != 0) {
      return;
    }
    remove_temporaries(folder_);
    for (const auto step : steps_in(folder_)) {
      const fs::path folder = folder_of(step);
      base::Json manifest;
      try {
        manifest = verified_manifest(folder);
      } catch (const base::DataError& error) {
        base::warn("checkpoint " + folder.filename().string() + " is broken and passed over: " +
                   error.text().what + (error.text().file.empty() ? "" : " (" + error.text().file + ")"));
        continue;
      }
      require_same_work(manifest, identity, folder);
      set_scalars(found, manifest.at("state"));
      read_vectors(folder, found);
      scalars = base::json_line(manifest.at("state"));
      return;
    }
    if (any()) {
      base::warn("no checkpoint in " + folder_.string() + " can be used: the run starts from step 0");
    }
  });
  scalars = comm::broadcast_text(communicator, std::move(scalars));
  if (scalars.empty()) {
    return false;
  }
  if (communicator.rank() != 0) {
    set_scalars(found, base::Json::parse(scalars));
  }
  for (const auto values : vectors_of(found)) {
    communicator.broadcast(std::as_writable_bytes(values), 0);
  }
  state = std::move(found);
  return true;
}

}  // namespace mgrn::train
