// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/plan.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/experiments/race.hpp"
#include "multigrnformer/experiments/task_state.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

constexpr int kPlanFormat = 1;
const std::string kSimulate = "simulate.";
// Keys of a setting that are the grid's own, not train's.
const std::string kDataset = "dataset";
const std::string kSources = "sources";
const std::string kSearch = "search";
const std::string kInspect = "inspect";
const std::string kModalities = "data.modalities";
// What the grid itself decides for each task.
constexpr const char* kGridDecides[] = {"out",        "method",     "pairs.seed",   "pairs.split_file",
                                        "pairs.fold", "train.init", "cross.target", "cross.target_split"};
constexpr const char* kRnaAndAtac = "rna+atac";
constexpr const char* kRna = "rna";
// The one strategy that baselines have.
const std::string kStandard = "standard";
// Keys that baselines alone take.
const std::string kBaselineKeys = "baseline.";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char letter : text + ",") {
    if (letter == ',') {
      if (!word.empty()) {
        words.push_back(std::exchange(word, {}));
      }
    } else if (letter != ' ' && letter != '\t') {
      word += letter;
    }
  }
  return words;
}

template <typename Map>
std::string names_in(const Map& map) {
  std::vector<std::string> names;
  names.reserve(map.size());
  for (const auto& [name, value] : map) {
    names.push_back(name);
  }
  return names.empty() ? "none" : joined(names);
}

bool is_baseline(const std::string& method) {
  return method != kOwnMethod;
}

bool pretrains(const std::string& strategy) {
  return strategy == "cross" || strategy == "both" || strategy == "zero-shot";
}

/// What a strategy sets, where [strategy.NAME] does not say otherwise.
Keys strategy_defaults(const std::string& strategy) {
  if (const auto factor = augmentation_of(strategy)) {
    return {{"pairs.augment", std::to_string(*factor)}};
  }
  return strategy == "augment" || strategy == "both" ? Keys{{"pairs.augment", "5"}} : Keys{};
}

/// What makes the strategy what it is: nothing wins over it.
Keys strategy_definition(const std::string& strategy, const std::string& command) {
  return strategy == "zero-shot" && command == "finetune" ? Keys{{"train.epochs", "0"}} : Keys{};
}

void put_all(Keys& keys, const Keys& over) {
  for (const auto& [key, value] : over) {
    keys[key] = value;
  }
}

std::string in_task(const std::string& task, const std::string& file = "") {
  return std::string(kGridFolder) + "/tasks/" + task + (file.empty() ? "" : "/" + file);
}

/// Where a setting's data are, and the tasks that make them.
struct Data {
  std::string dataset;
  std::string network;
  std::string tfs;
  std::vector<std::string> needs;
};

class Planner {
 public:
  Planner(const GridFile& grid, const CheckTask& check) : grid_(grid), check_(check) {}

  Plan make() {
    check_words();
    for (const auto& setting : grid_.settings) {
      for (const auto& method : grid_.methods) {
        for (const auto& strategy : grid_.strategies) {
          if (is_baseline(method) && strategy != kStandard && strategy != kInspect) {
            continue;
          }
          for (const auto& omics : grid_.omics.empty() ? std::vector<std::string>{""} : grid_.omics) {
            for (const auto run : grid_.runs) {
              if (strategy == kInspect) {
                add_inspection(setting);
                continue;
              }
              if (strategy == kSearch) {
                add_search(setting, omics, run);
                continue;
              }
              add_cell(setting, method, strategy, omics, run);
            }
          }
        }
      }
    }
    measure();
    return std::move(plan_);
  }

 private:
  [[noreturn]] void refuse(base::ErrorText text) const {
    if (text.file.empty()) {
      text.file = grid_.file;
    }
    throw base::UsageError(std::move(text));
  }

  void check_list(const std::vector<std::string>& list, const std::string& key) const {
    if (list.empty()) {
      refuse({.what = "[grid] lists no " + key,
              .expected = key + " = NAME, NAME, ...",
              .got = "nothing",
              .hint = "add that line under [grid]"});
    }
    if (const std::set<std::string> distinct(list.begin(), list.end()); distinct.size() != list.size()) {
      refuse({.what = "[grid] lists one of its " + key + " twice",
              .expected = "each once",
              .got = joined(list),
              .hint = "take the second one out"});
    }
  }

  void check_words() const {
    check_list(grid_.settings, "settings");
    check_list(grid_.strategies, "strategies");
    check_list(grid_.methods, "methods");
    if (!grid_.omics.empty()) {
      check_list(grid_.omics, "omics");
    }
    for (const auto& omics : grid_.omics) {
      if (omics != kRnaAndAtac && omics != kRna) {
        refuse({.what = "unknown omics " + omics,
                .expected = std::string(kRnaAndAtac) + " or " + kRna,
                .got = omics,
                .hint = "mend omics under [grid]"});
      }
    }
    for (const auto& setting : grid_.settings) {
      if (!grid_.setting_keys.contains(setting)) {
        refuse({.what = "setting " + setting + " has no section",
                .expected = "[setting." + setting + "]",
                .got = "sections of " + names_in(grid_.setting_keys),
                .hint = "add the section, or take the name out of settings"});
      }
    }
    const auto& strategies = strategy_names();
    const auto check_strategy = [&](const std::string& strategy) {
      if (std::find(strategies.begin(), strategies.end(), strategy) == strategies.end() &&
          !augmentation_of(strategy) && strategy != kSearch && strategy != kInspect) {
        refuse({.what = "unknown strategy " + strategy,
                .expected = "one of " + joined(strategies) + ", augment-N, " + kSearch + ", " + kInspect,
                .got = strategy,
                .hint = "mend strategies under [grid]"});
      }
    };
    std::for_each(grid_.strategies.begin(), grid_.strategies.end(), check_strategy);
    for (const auto& [strategy, keys] : grid_.strategy_keys) {
      check_strategy(strategy);
    }
    for (const auto& method : grid_.methods) {
      if (method != kOwnMethod) {
        check_baseline(method, "methods under [grid]");
      }
    }
    const bool standard =
        std::find(grid_.strategies.begin(), grid_.strategies.end(), kStandard) != grid_.strategies.end();
    if (const auto baseline = std::find_if(grid_.methods.begin(), grid_.methods.end(), is_baseline);
        baseline != grid_.methods.end() && !standard) {
      refuse({.what = "method " + *baseline + " has no strategy to run under",
              .expected = kStandard + " among strategies: it is the only one that baselines have",
              .got = joined(grid_.strategies),
              .hint = "add it to strategies under [grid], or take the method out"});
    }
    for (const auto& [method, keys] : grid_.method_keys) {
      check_baseline(method, "section [method." + method + "]");
      check_decided(keys, "[method." + method + "]");
    }
    for (const auto& [name, keys] : grid_.setting_keys) {
      check_decided(keys, "[setting." + name + "]");
    }
    for (const auto& [name, keys] : grid_.job_keys) {
      check_decided(keys, "[job." + name + "]");
    }
    for (const auto& [name, keys] : grid_.strategy_keys) {
      check_decided(keys, "[strategy." + name + "]");
    }
    for (const auto& [name, keys] : grid_.variant_keys) {
      check_decided(keys, "[variant." + name + "]");
    }
    check_decided(grid_.common, "");
    check_decided(grid_.command_line, "the command line");
  }

  void check_baseline(const std::string& method, const std::string& where) const {
    const auto& all = baselines::methods();
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.name == method; });
    if (!known) {
      refuse({.what = "unknown method " + method,
              .expected = std::string("one of ") + kOwnMethod + ", " + baselines::method_names(),
              .got = method,
              .hint = "mend " + where + (method == kOwnMethod ? "; its keys stand in [job.train]" : "")});
    }
  }

  void check_decided(const Keys& keys, const std::string& where) const {
    for (const char* key : kGridDecides) {
      if (const auto place = keys.find(key); place != keys.end()) {
        refuse({.what = std::string("the grid itself sets ") + key + " for each task",
                .expected = std::string(key) + " left out" + (where.empty() ? "" : " of " + where),
                .got = place->second,
                .hint = "take it out; `runs` under [grid] are the seeds, strategies say what is pretrained"});
      }
    }
  }

  /// The keys of a job, from the general to the special.
  Keys keys_for(const std::string& command, const std::string& setting, const std::string& method,
                const std::string& strategy, const std::string& omics, std::uint64_t run) const {
    Keys keys = grid_.common;
    put_all(keys, grid_.setting_keys.at(setting));
    keys.erase(kDataset);
    keys.erase(kSources);
    if (const auto own = grid_.job_keys.find(command); own != grid_.job_keys.end()) {
      put_all(keys, own->second);
    }
    if (const auto own = grid_.method_keys.find(method); own != grid_.method_keys.end()) {
      put_all(keys, own->second);
    }
    Keys of_strategy = strategy_defaults(strategy);
    const Keys defaults = of_strategy;
    if (const auto own = grid_.strategy_keys.find(strategy); own != grid_.strategy_keys.end()) {
      put_all(of_strategy, own->second);
    }
    put_all(keys, of_strategy);
    for (const auto& [key, value] : grid_.command_line) {
      if (!defaults.contains(key)) {
        keys[key] = value;
      }
    }
    put_all(keys, strategy_definition(strategy, command));
    if (!is_baseline(method)) {
      std::erase_if(keys, [](const auto& entry) { return entry.first.rfind(kBaselineKeys, 0) == 0; });
    }
    if (!omics.empty()) {
      keys[kModalities] = omics == kRna ? "rna" : "rna,atac";
    }
    keys["pairs.seed"] = std::to_string(run);
    return keys;
  }

  Data data_of(const std::string& setting) {
    const auto& own = grid_.setting_keys.at(setting);
    Keys keys = grid_.common;
    put_all(keys, own);
    put_all(keys, grid_.command_line);
    const auto value = [&](const std::string& key) {
      const auto place = keys.find(key);
      return place == keys.end() ? std::string() : place->second;
    };
    Data data{.dataset = value("data.dataset"),
              .network = value("data.network"),
              .tfs = value("data.tfs"),
              .needs = {}};
    if (const std::string name = value(kDataset); !name.empty()) {
      if (!grid_.datasets.contains(name)) {
        refuse({.what = "dataset " + name + " of setting " + setting + " has no section",
                .expected = "[dataset." + name + "]",
                .got = "sections of " + names_in(grid_.datasets),
                .hint = "add the section, or give the file of a prepared dataset as data.dataset"});
      }
      if (!data.dataset.empty()) {
        refuse({.what = "setting " + setting + " names its dataset twice",
                .expected = "dataset or data.dataset",
                .got = name + " and " + data.dataset,
                .hint = "keep one of the two"});
      }
      add_dataset(name, data);
    }
    for (const auto& [key, got] :
         {std::pair("data.dataset", data.dataset), std::pair("data.network", data.network),
          std::pair("data.tfs", data.tfs)}) {
      if (got.empty()) {
        refuse({.what = std::string("setting ") + setting + " lacks " + key,
                .expected = std::string(key) + " = FILE",
                .got = "nothing",
                .hint = "add it to [setting." + setting + "], or to the top of the file for all settings"});
      }
    }
    return data;
  }

  static bool is_simulated(const Keys& keys) {
    const auto is_key = [](const auto& entry) { return entry.first.rfind(kSimulate, 0) == 0; };
    return std::any_of(keys.begin(), keys.end(), is_key);
  }

  /// The tasks that make a dataset, and where its files will be.
  void add_dataset(const std::string& name, Data& data) {
    const auto& own = grid_.datasets.at(name);
    Keys keys = grid_.preparation;
    put_all(keys, own);
    const std::string raw_task = "data." + name + ".simulate";
    const std::string task_name = "data." + name + ".prepare";
    const bool simulated = is_simulated(own);
    if (simulated == own.contains("rna")) {
      refuse({.what = simulated ? "dataset " + name + " is both simulated and read"
                                : "dataset " + name + " has no source",
              .expected = "rna = FILE, or simulate.* keys, in [dataset." + name + "]",
              .got = simulated ? "both" : "neither",
              .hint = "say in that section where the counts come from"});
    }
    PlannedTask prepare{.name = task_name, .command = "prepare", .keys = {}, .needs = {}, .result = {}};
    PlannedTask simulate{.name = raw_task, .command = "simulate", .keys = {}, .needs = {}, .result = {}};
    for (const auto& [key, value] : keys) {
      if (key.rfind(kSimulate, 0) == 0) {
        simulate.keys[key.substr(kSimulate.size())] = value;
      } else {
        prepare.keys[key] = value;
      }
    }
    const std::string file = in_task(task_name, name + ".h5");
    prepare.keys["out"] = file;
    if (simulated) {
      simulate.keys["out"] = in_task(raw_task);
      prepare.keys["rna"] = in_task(raw_task, "multiome.h5");
      prepare.keys.emplace("annotation", in_task(raw_task, "annotation.gtf.gz"));
      prepare.needs = {raw_task};
      data.network = data.network.empty() ? in_task(raw_task, "network.csv") : data.network;
      data.tfs = data.tfs.empty() ? in_task(raw_task, "tfs.csv") : data.tfs;
      add(std::move(simulate));
    }
    data.dataset = file;
    data.needs = {task_name};
    add(std::move(prepare));
  }

  /// The settings whose data a pretraining for `setting` learns from.
  std::vector<std::string> sources_of(const std::string& setting, const Data& target) {
    const auto& keys = grid_.setting_keys.at(setting);
    std::vector<std::string> sources;
    if (const auto given = keys.find(kSources); given != keys.end()) {
      sources = words_of(given->second);
      for (const auto& source : sources) {
        if (!grid_.setting_keys.contains(source)) {
          refuse({.what = "source " + source + " of setting " + setting + " is no setting",
                  .expected = "one of " + names_in(grid_.setting_keys),
                  .got = source,
                  .hint = "mend sources in [setting." + setting + "]"});
        }
      }
    } else {
      std::set<std::string> seen = {target.dataset};
      for (const auto& other : grid_.settings) {
        if (seen.insert(data_of(other).dataset).second) {
          sources.push_back(other);
        }
      }
    }
    if (sources.empty()) {
      refuse({.what = "setting " + setting + " has nothing to be pretrained on",
              .expected = "another setting with another dataset, or sources = SETTING, ...",
              .got = "none",
              .hint = "add a setting, or take cross, both and zero-shot out of strategies"});
    }
    return sources;
  }

  /// Name of the pretraining for this cell of the grid; shared by all cells that ask for the same.
  std::string add_pretraining(const std::string& setting, const std::string& strategy,
                              const std::string& omics, std::uint64_t run) {
    const Data target = data_of(setting);
    PlannedTask task{.name = {},
                     .command = "pretrain",
                     .keys = keys_for("pretrain", setting, kOwnMethod, strategy, omics, run),
                     .needs = target.needs,
                     .result = {}};
    // The target comes first: it is left out, but its own network draws its test pairs.
    std::vector<std::string> datasets = {target.dataset}, networks = {target.network}, tfs = {target.tfs};
    for (const auto& source : sources_of(setting, target)) {
      const Data data = data_of(source);
      datasets.push_back(data.dataset);
      networks.push_back(data.network);
      tfs.push_back(data.tfs);
      task.needs.insert(task.needs.end(), data.needs.begin(), data.needs.end());
    }
    task.keys["data.dataset"] = joined(datasets);
    task.keys["data.network"] = joined(networks);
    task.keys["data.tfs"] = joined(tfs);
    task.keys["cross.target"] = target.dataset;
    const auto [place, is_new] = pretrainings_.try_emplace(
        base::json_line(task.keys), setting + ".pretrain." + strategy + name_end(omics, run));
    if (is_new) {
      task.name = place->second;
      task.keys["out"] = in_task(task.name);
      add(std::move(task));
    }
    return place->second;
  }

  /// Found now, not when the fine-tuning begins: the pretraining is the long part.
  void check_same_model(const std::string& setting, const std::string& strategy, const Keys& pretraining,
                        const Keys& finetuning) const {
    Keys all = pretraining;
    all.insert(finetuning.begin(), finetuning.end());
    for (const auto& [key, value] : all) {
      const auto in = [name = key](const Keys& keys) {
        const auto place = keys.find(name);
        return place == keys.end() ? "the default" : place->second;
      };
      if (key.rfind("model.", 0) == 0 && key != "model.dropout" && in(pretraining) != in(finetuning)) {
        refuse({.what = "setting " + setting + ", strategy " + strategy +
                        ": pretraining and fine-tuning are of " + "different models, " + key + " differs",
                .expected = key + " = " + in(pretraining) + ", as pretrained",
                .got = in(finetuning),
                .hint = "give " + key + " for both: in [model], [setting." + setting + "] or [strategy." +
                        strategy + "], not in one [job.NAME] alone"});
      }
    }
  }

  /// The last part of a task's name.
  static std::string name_end(const std::string& omics, std::uint64_t run) {
    return (omics == kRna ? std::string(".") + kRna : "") + ".run-" + std::to_string(run);
  }

  void add_cell(const std::string& setting, const std::string& method, const std::string& strategy,
                const std::string& omics, std::uint64_t run) {
    const Data data = data_of(setting);
    const std::string command = is_baseline(method) ? "baseline" : pretrains(strategy) ? "finetune" : "train";
    const std::string name = setting + "." + method + "." + strategy + name_end(omics, run);
    PlannedTask task{.name = name,
                     .command = command,
                     .keys = keys_for(command, setting, method, strategy, omics, run),
                     .needs = data.needs,
                     .result = {}};
    task.keys["data.dataset"] = data.dataset;
    task.keys["data.network"] = data.network;
    task.keys["data.tfs"] = data.tfs;
    task.keys["out"] = in_task(name);
    if (command == "baseline") {
      task.keys["method"] = method;
    }
    if (command == "finetune") {
      check_same_model(setting, strategy, keys_for("pretrain", setting, kOwnMethod, strategy, omics, run),
                       task.keys);
      const std::string pretraining = add_pretraining(setting, strategy, omics, run);
      task.needs.push_back(pretraining);
      task.keys["train.init"] = in_task(pretraining, "model.safetensors");
    }
    task.result = ResultLabels{.setting = setting,
                               .method = method,
                               .strategy = strategy,
                               .omics = omics_of(task.keys),
                               .run = run,
                               .row = rows_++};
    add(std::move(task));
  }

  /// What a setting's data are: the same for all methods, omics and runs.
  void add_inspection(const std::string& setting) {
    const Data data = data_of(setting);
    const Keys keys = keys_for(kInspect, setting, kOwnMethod, kInspect, "", 1);
    PlannedTask task{.name = setting + "." + kInspect,
                     .command = kInspect,
                     .keys = {{"dataset", data.dataset}, {"network", data.network}, {"tfs", data.tfs}},
                     .needs = data.needs,
                     .result = {}};
    for (const auto& [key, of_train] :
         {std::pair("genes", "data.genes"), std::pair("variable", "data.variable"),
          std::pair("cells", "model.cells")}) {
      if (const auto place = keys.find(of_train); place != keys.end()) {
        task.keys[key] = place->second;
      }
    }
    task.keys["out"] = in_task(task.name);
    if (!names_.contains(task.name)) {
      task.table = TablePlace{.setting = setting, .row = table_rows_++};
      add(std::move(task));
    }
  }

  /// A parameter search: every fold of every point is a training of its own.
  void add_search(const std::string& setting, const std::string& omics, std::uint64_t run) {
    const SearchSpace& space = grid_.search;
    for (const auto& [key, values] : space.values) {
      if (grid_.command_line.contains(key)) {
        refuse({.what = "the search itself sets " + key,
                .expected = "--" + key + " left out",
                .got = grid_.command_line.at(key),
                .hint = "take it off the command line, or out of [space]"});
      }
    }
    const Data data = data_of(setting);
    const Keys around = keys_for("train", setting, kOwnMethod, kSearch, omics, run);
    const std::string race = setting + "." + kSearch + name_end(omics, run);
    std::vector<Keys> points;
    try {
      points = search_points(space, around);
    } catch (const base::UsageError& error) {
      refuse(error.text());
    }
    std::uint64_t number = 0;
    for (const auto& point : points) {
      ++number;
      std::string before;
      for (std::uint64_t fold = 1; fold <= space.folds; ++fold) {
        PlannedTask task{.name = race + ".point-" + std::to_string(number) + ".fold-" + std::to_string(fold),
                         .command = "train",
                         .keys = around,
                         .needs = data.needs,
                         .result = {}};
        put_all(task.keys, point);
        task.keys["data.dataset"] = data.dataset;
        task.keys["data.network"] = data.network;
        task.keys["data.tfs"] = data.tfs;
        task.keys["pairs.fold"] = std::to_string(fold) + "/" + std::to_string(space.folds);
        task.keys["out"] = in_task(task.name);
        if (space.keep < 1 && fold > 1) {
          task.needs.push_back(before);
        }
        before = task.name;
        task.race = RacePlace{.race = race,
                              .setting = setting,
                              .omics = omics_of(task.keys),
                              .run = run,
                              .point = number,
                              .fold = fold,
                              .keep = space.keep,
                              .metric = space.metric,
                              .varied = point};
        add(std::move(task));
      }
    }
  }

  static std::string omics_of(const Keys& keys) {
    const auto modalities = keys.find(kModalities);
    return modalities != keys.end() && modalities->second == "rna" ? kRna : kRnaAndAtac;
  }

  void add(PlannedTask task) {
    std::sort(task.needs.begin(), task.needs.end());
    task.needs.erase(std::unique(task.needs.begin(), task.needs.end()), task.needs.end());
    if (!names_.insert(task.name).second) {
      return;  // a dataset that another setting has asked for
    }
    try {
      task.cost = std::max<std::uint64_t>(1, check_(task));
    } catch (const base::UsageError& error) {
      base::ErrorText text = error.text();
      text.what = "task " + task.name + ": " + text.what;
      refuse(std::move(text));
    }
    plan_.tasks.push_back(std::move(task));
  }

  /// Digests, the longest way to the end, and the order that follows from it.
  void measure() {
    std::map<std::string, PlannedTask*> by_name;
    for (auto& task : plan_.tasks) {
      by_name[task.name] = &task;
      task.way = task.cost;
    }
    // Tasks were added behind all that they need.
    for (auto& task : plan_.tasks) {
      base::Json work = {{"command", task.command}, {"keys", task.keys}, {"needs", base::Json::array()}};
      for (const auto& need : task.needs) {
        work["needs"].push_back(by_name.at(need)->digest);
      }
      const std::string text = base::json_line(work);
      task.digest = base::sha256(std::as_bytes(std::span(text))).substr(0, 16);
    }
    for (auto task = plan_.tasks.rbegin(); task != plan_.tasks.rend(); ++task) {
      for (const auto& need : task->needs) {
        PlannedTask& needed = *by_name.at(need);
        needed.way = std::max(needed.way, needed.cost + task->way);
      }
    }
    std::sort(plan_.tasks.begin(), plan_.tasks.end(), [](const PlannedTask& a, const PlannedTask& b) {
      return a.way != b.way ? a.way > b.way : a.name < b.name;
    });
  }

  const GridFile& grid_;
  const CheckTask& check_;
  Plan plan_;
  std::set<std::string> names_;
  std::map<std::string, std::string> pretrainings_;  // keys -> task
  std::uint64_t rows_ = 0;
  std::uint64_t table_rows_ = 0;
};

std::string in_folder(const std::string& value, const fs::path& out) {
  std::string text = value;
  const std::string folder = out.string();
  for (auto at = text.find(kGridFolder); at != std::string::npos;
       at = text.find(kGridFolder, at + folder.size())) {
    text.replace(at, kGridFolder.size(), folder);
  }
  return text;
}

base::Json to_json(const PlannedTask& task, std::size_t index) {
  base::Json json = {{"index", index},    {"name", task.name},    {"command", task.command},
                     {"keys", task.keys}, {"needs", task.needs},  {"cost", task.cost},
                     {"way", task.way},   {"digest", task.digest}};
  if (task.result) {
    json["result"] = {{"setting", task.result->setting},   {"method", task.result->method},
                      {"strategy", task.result->strategy}, {"omics", task.result->omics},
                      {"run", task.result->run},           {"row", task.result->row}};
  }
  if (task.table) {
    json["table"] = {{"setting", task.table->setting}, {"row", task.table->row}};
  }
  if (task.race) {
    json["race"] = {
        {"race", task.race->race}, {"setting", task.race->setting}, {"omics", task.race->omics},
        {"run", task.race->run},   {"point", task.race->point},     {"fold", task.race->fold},
        {"keep", task.race->keep}, {"metric", task.race->metric},   {"varied", task.race->varied}};
  }
  return json;
}

std::string key_and_value(const PlannedTask& task, const std::string& key) {
  const auto place = task.keys.find(key);
  return place == task.keys.end() ? "no " + key : key + " = " + place->second;
}

/// The first key in which two versions of a task differ; of tasks that differ in what they need alone, `out`.
std::string different_key(const PlannedTask& before, const PlannedTask& now) {
  Keys all = before.keys;
  all.insert(now.keys.begin(), now.keys.end());
  for (const auto& [key, value] : all) {
    if (key_and_value(before, key) != key_and_value(now, key)) {
      return key;
    }
  }
  return "out";
}

PlannedTask task_from(const base::Json& json) {
  PlannedTask task{.name = json.at("name").get<std::string>(),
                   .command = json.at("command").get<std::string>(),
                   .keys = json.at("keys").get<Keys>(),
                   .needs = json.at("needs").get<std::vector<std::string>>(),
                   .cost = json.at("cost").get<std::uint64_t>(),
                   .way = json.at("way").get<std::uint64_t>(),
                   .digest = json.at("digest").get<std::string>(),
                   .result = {}};
  if (json.contains("result")) {
    const auto& labels = json.at("result");
    task.result = ResultLabels{.setting = labels.at("setting").get<std::string>(),
                               .method = labels.at("method").get<std::string>(),
                               .strategy = labels.at("strategy").get<std::string>(),
                               .omics = labels.at("omics").get<std::string>(),
                               .run = labels.at("run").get<std::uint64_t>(),
                               .row = labels.at("row").get<std::uint64_t>()};
  }
  if (json.contains("table")) {
    task.table = TablePlace{.setting = json.at("table").at("setting").get<std::string>(),
                            .row = json.at("table").at("row").get<std::uint64_t>()};
  }
  if (json.contains("race")) {
    const auto& race = json.at("race");
    task.race = RacePlace{.race = race.at("race").get<std::string>(),
                          .setting = race.at("setting").get<std::string>(),
                          .omics = race.at("omics").get<std::string>(),
                          .run = race.at("run").get<std::uint64_t>(),
                          .point = race.at("point").get<std::uint64_t>(),
                          .fold = race.at("fold").get<std::uint64_t>(),
                          .keep = race.at("keep").get<double>(),
                          .metric = race.at("metric").get<std::string>(),
                          .varied = race.at("varied").get<Keys>()};
  }
  return task;
}

}  // namespace

bool PlannedTask::leaves_device_open() const {
  const auto device = keys.find("train.device");
  return (command == "train" || command == "pretrain" || command == "finetune") &&
         (device == keys.end() || device->second == "auto");
}

std::vector<std::string> PlannedTask::arguments(const fs::path& out) const {
  Keys all = keys;
  // Tasks side by side know nothing of each other's GPUs, and results must not depend on where a task was
  // done.
  if (leaves_device_open()) {
    all["train.device"] = "cpu";
  }
  std::vector<std::string> words = {command};
  for (const auto& [key, value] : all) {
    words.push_back("--" + key + "=" + in_folder(value, out));
  }
  return words;
}

std::size_t Plan::index_of(const std::string& name) const {
  const auto place =
      std::find_if(tasks.begin(), tasks.end(), [&](const PlannedTask& task) { return task.name == name; });
  if (place == tasks.end()) {
    throw base::InternalError({.what = "the plan has no task " + name});
  }
  return static_cast<std::size_t>(place - tasks.begin());
}

std::string Plan::text() const {
  base::Json list = base::Json::array();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    list.push_back(to_json(tasks[i], i));
  }
  return base::json_text({{"format", kPlanFormat}, {"tasks", std::move(list)}});
}

Plan make_plan(const GridFile& grid, const CheckTask& check) {
  return Planner(grid, check).make();
}

fs::path plan_file(const fs::path& out) {
  return out / "plan.json";
}

fs::path task_folder(const fs::path& out, const std::string& name) {
  return out / "tasks" / name;
}

void write_plan(const fs::path& out, const Plan& plan) {
  const std::string text = plan.text();
  if (fs::exists(plan_file(out)) && base::read_file(plan_file(out)) == text) {
    return;
  }
  if (fs::exists(plan_file(out))) {
    const Plan before = read_plan(out);
    const ClaimEvidence evidence = system_evidence();
    for (const auto& old : before.tasks) {
      const auto now = std::find_if(plan.tasks.begin(), plan.tasks.end(),
                                    [&](const PlannedTask& task) { return task.name == old.name; });
      if (now == plan.tasks.end() || now->digest == old.digest) {
        continue;
      }
      const auto state = read_status(task_folder(out, old.name), old.digest, evidence).state;
      if (state != TaskState::done && state != TaskState::running) {
        continue;
      }
      const std::string key = different_key(old, *now);
      throw base::UsageError(
          {.what = "task " + old.name + " is " + state_name(state) + " with other keys",
           .file = out.string(),
           .expected = key_and_value(old, key),
           .got = key_and_value(*now, key),
           .hint = "choose another folder with --out, or remove " + task_folder(out, old.name).string()});
    }
  }
  for (const auto& task : plan.tasks) {
    base::create_directories(task_folder(out, task.name));
  }
  base::write_file_atomically(plan_file(out), text);
}

Plan read_plan(const fs::path& out) {
  if (!fs::exists(plan_file(out))) {
    throw base::DataError({.what = "not the folder of a grid",
                           .file = out.string(),
                           .expected = "plan.json in it",
                           .got = fs::is_directory(out) ? "a folder without it" : "no such folder",
                           .hint = "make it with `multigrnformer grid plan --config FILE --out DIR`"});
  }
  const base::Json json = base::read_json(plan_file(out));
  Plan plan;
  try {
    if (const int format = json.at("format").get<int>(); format != kPlanFormat) {
      throw base::DataError({.what = "a plan of another format",
                             .file = plan_file(out).string(),
                             .expected = "format " + std::to_string(kPlanFormat),
                             .got = std::to_string(format),
                             .hint = "make the plan anew with `grid plan`"});
    }
    for (const auto& task : json.at("tasks")) {
      plan.tasks.push_back(task_from(task));
    }
    for (const auto& task : plan.tasks) {
      for (const auto& need : task.needs) {
        static_cast<void>(plan.index_of(need));
      }
    }
  } catch (const base::Json::exception& error) {
    throw base::DataError({.what = "plan.json is incomplete",
                           .file = plan_file(out).string(),
                           .got = error.what(),
                           .hint = "remove it and make the plan anew with `grid plan`"});
  }
  return plan;
}

std::vector<std::size_t> with_needs(const Plan& plan, const std::vector<std::size_t>& wanted) {
  const Races races(plan, {});
  std::set<std::size_t> chosen;
  std::vector<std::size_t> open = wanted;
  while (!open.empty()) {
    const auto task = open.back();
    open.pop_back();
    if (chosen.insert(task).second) {
      for (const auto& need : plan.tasks.at(task).needs) {
        open.push_back(plan.index_of(need));
      }
      const auto judges = races.judges(task);
      open.insert(open.end(), judges.begin(), judges.end());
    }
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace mgrn::experiments
