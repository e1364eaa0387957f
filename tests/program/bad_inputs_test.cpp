// SPDX-License-Identifier: Apache-2.0
// The table of what users get wrong: each case with its exit code and what the message must say, and with
// nothing half-written left behind.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::test::ProgramResult;
using mgrn::test::run_program;
using mgrn::test::run_shell;
using mgrn::test::small_case;
using mgrn::test::SmallCase;
using mgrn::test::TemporaryDirectory;
using Arguments = std::vector<std::string>;

/// Arguments; may first put damaged files into `folder`. The output must be named folder/out.
using MakeArguments = std::function<Arguments(const SmallCase& base, const fs::path& folder)>;

struct BadCase {
  const char* name;
  int code;
  std::vector<std::string> says;  ///< each must be in stderr
  MakeArguments arguments;
};

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

void copy_part(const fs::path& from, const fs::path& to, double share) {
  fs::copy_file(from, to);
  fs::resize_file(to, static_cast<std::uintmax_t>(static_cast<double>(fs::file_size(from)) * share));
}

/// train's arguments with some keys set otherwise or, with an empty value, left out.
Arguments train_with(const SmallCase& base, const fs::path& folder,
                     const std::vector<std::pair<std::string, std::string>>& changes,
                     const std::string& command = "train") {
  Arguments arguments = base.training_keys(folder / "out");
  for (const auto& [key, value] : changes) {
    bool found = false;
    for (std::size_t i = 0; i < arguments.size(); i += 2) {
      if (arguments[i] == key) {
        found = true;
        if (value.empty()) {
          arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i),
                          arguments.begin() + static_cast<std::ptrdiff_t>(i) + 2);
        } else {
          arguments[i + 1] = value;
        }
        break;
      }
    }
    if (!found) {
      arguments.insert(arguments.end(), {key, value});
    }
  }
  arguments.insert(arguments.begin(), command);
  return arguments;
}

/// train, or `command`, with one key set otherwise or, with an empty value, left out.
MakeArguments with_key(const std::string& key, const std::string& value,
                       const std::string& command = "train") {
  return [=](const SmallCase& base, const fs::path& folder) {
    return train_with(base, folder, {{key, value}}, command);
  };
}

/// train with a key that names a file in `folder` which holds `text` or, without one, is not there.
MakeArguments with_file(const std::string& key, const std::string& name,
                        const std::optional<std::string>& text = {}) {
  return [=](const SmallCase& base, const fs::path& folder) {
    if (text) {
      write(folder / name, *text);
    }
    return train_with(base, folder, {{key, (folder / name).string()}});
  };
}

Arguments prepare(const fs::path& matrix, const fs::path& folder, const Arguments& more = {}) {
  Arguments arguments = {"prepare", "--rna", matrix.string(), "--out", (folder / "out").string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

MakeArguments prepare_csv(const std::string& csv, const Arguments& more = {}) {
  return [=](const SmallCase&, const fs::path& folder) {
    write(folder / "m.csv", csv);
    return prepare(folder / "m.csv", folder, more);
  };
}

/// Genes in rows, cells in columns, counts that pass quality control; `cell` replaces one field.
std::string csv_matrix(const std::string& field = "3") {
  std::string text = ",AAAC-1,AAAG-1,AACC-1,AACG-1,AAGC-1,AAGG-1\n";
  for (int gene = 0; gene < 8; ++gene) {
    text += "GENE" + std::to_string(gene);
    for (int cell = 0; cell < 6; ++cell) {
      text += "," + (gene == 2 && cell == 3 ? field : std::to_string((gene * 7 + cell * 3) % 5 + 1));
    }
    text += "\n";
  }
  return text;
}

const std::vector<BadCase>& cases() {
  static const std::vector<BadCase> table = {
      // The command line.
      {"UnknownCommand",
       64,
       {"unknown command trian", "expected train"},
       [](auto&, auto&) { return Arguments{"trian"}; }},
      {"UnknownKey",
       64,
       {"unknown key train.epoch", "expected train.epochs"},
       with_key("--train.epoch", "3")},
      {"KeyWithoutItsSection", 64, {"unknown key batch", "train.batch"}, with_key("--batch", "3")},
      {"KeyTwice",
       64,
       {"train.epochs", "twice"},
       [](auto& base, auto& folder) {
         auto arguments = train_with(base, folder, {});
         arguments.insert(arguments.end(), {"--train.epochs", "3"});
         return arguments;
       }},
      {"NotANumber", 64, {"illegal value of train.epochs", "\"many\""}, with_key("--train.epochs", "many")},
      {"NegativeNumber", 64, {"illegal value of model.cells", "\"-5\""}, with_key("--model.cells", "-5")},
      {"UnknownWord",
       64,
       {"pairs.negatives", "did you mean degree-matched"},
       with_key("--pairs.negatives", "degree-match")},
      {"ValueMissing",
       64,
       {"train.epochs"},
       [](auto& base, auto& folder) {
         auto arguments = train_with(base, folder, {{"--train.epochs", ""}});
         arguments.push_back("--train.epochs");
         return arguments;
       }},
      {"BareWord",
       64,
       {"argument without a key", "stray"},
       [](auto& base, auto& folder) {
         auto arguments = train_with(base, folder, {});
         arguments.insert(arguments.begin() + 1, "stray");
         return arguments;
       }},
      {"NoOutput", 64, {"key out is missing"}, with_key("--out", "")},
      {"NoDataset", 64, {"key data.dataset is missing", "prepare"}, with_key("--data.dataset", "")},
      {"NoNetwork", 64, {"key data.network is missing"}, with_key("--data.network", "")},
      {"SeveralDatasetsForTrain",
       64,
       {"several datasets", "pretrain"},
       [](auto& base, auto& folder) {
         return train_with(base, folder,
                           {{"--data.dataset", base.dataset.string() + "," + base.dataset.string()}});
       }},
      {"FinetuneWithoutWeights",
       64,
       {"train.init is missing"},
       [](auto& base, auto& folder) { return train_with(base, folder, {}, "finetune"); }},
      {"TrainWithoutEpochs",
       64,
       {"`train` learns nothing", "train.epochs", "finetune"},
       with_key("--train.epochs", "0")},
      {"PretrainWithoutEpochs",
       64,
       {"`pretrain` learns nothing", "train.epochs", "finetune"},
       with_key("--train.epochs", "0", "pretrain")},
      {"OddWidth", 64, {"model.width"}, with_key("--model.width", "5")},
      {"HeadsThatDoNotDivide", 64, {"model.heads"}, with_key("--model.heads", "3")},
      {"UnknownEngine", 64, {"train.engine", "fast"}, with_key("--train.engine", "fast")},
      {"UnknownInstructionSet", 64, {"train.isa", "neon"}, with_key("--train.isa", "neon")},
      // Refused whether there is a GPU or not.
      {"EngineNotForTheDevice",
       64,
       {"train.engine", "quadratic"},
       [](auto& base, auto& folder) {
         return train_with(base, folder, {{"--train.device", "cuda"}, {"--train.engine", "quadratic"}});
       }},

      // Config files.
      {"ConfigMissing", 65, {"no.ini"}, with_file("--config", "no.ini")},
      {"ConfigNotIni",
       64,
       {"config file is not INI", "c.ini"},
       with_file("--config", "c.ini", "this is prose\n")},
      {"ConfigUnknownKey",
       64,
       {"unknown key train.epoch", "c.ini", "train.epochs"},
       with_file("--config", "c.ini", "[train]\nepoch = 3\n")},
      {"ConfigKeyTwice",
       64,
       {"twice", "c.ini"},
       with_file("--config", "c.ini", "[train]\nbatch = 3\nbatch = 4\n")},

      // Dataset files.
      {"DatasetMissing", 65, {"nowhere.h5"}, with_file("--data.dataset", "nowhere.h5")},
      {"DatasetIsText", 65, {"text.h5"}, with_file("--data.dataset", "text.h5", "hello\n")},
      {"DatasetTruncated",
       65,
       {"cut.h5"},
       [](auto& base, auto& folder) {
         copy_part(base.dataset, folder / "cut.h5", 0.6);
         return train_with(base, folder, {{"--data.dataset", (folder / "cut.h5").string()}});
       }},
      {"DatasetIsRawCounts",
       65,
       {"multiome.h5", "prepare"},
       [](auto& base, auto& folder) {
         return train_with(base, folder, {{"--data.dataset", base.raw.string()}});
       }},

      // Networks, lists of TFs, splits.
      {"NetworkMissing", 65, {"nowhere.csv"}, with_file("--data.network", "nowhere.csv")},
      {"NetworkEmpty", 65, {"empty.csv"}, with_file("--data.network", "empty.csv", "Gene1,Gene2\n")},
      {"NetworkOfAnotherSpecies",
       65,
       {"other.csv"},
       with_file("--data.network", "other.csv", "Gene1,Gene2\nYAL001C,YAL002W\nYAL001C,YAL003W\n")},
      {"NetworkOfOneColumn", 65, {"one.csv"}, with_file("--data.network", "one.csv", "Gene1\nTF1\nTF2\n")},
      {"TfListOfAnotherSpecies",
       65,
       {"no transcription factor", "YAL001C"},
       with_file("--data.tfs", "tfs.csv", "TF\nYAL001C\n")},
      {"SplitWithoutItsColumns",
       65,
       {"s.csv", "set"},
       with_file("--pairs.split_file", "s.csv", "tf,gene,label\nA,B,1\n")},
      {"SplitWithABadLabel",
       65,
       {"s.csv", "maybe"},
       with_file("--pairs.split_file", "s.csv", "tf,gene,label,set\nA,B,maybe,train\n")},
      {"SplitOfUnknownGenes",
       65,
       {"s.csv"},
       with_file("--pairs.split_file", "s.csv",
                 "tf,gene,label,set\nA,B,1,train\nA,C,0,train\nA,D,1,test\nA,E,0,test\n")},

      // Raw matrices.
      {"MatrixMissing",
       65,
       {"nowhere"},
       [](auto&, auto& folder) { return prepare(folder / "nowhere", folder); }},
      {"MatrixTruncated",
       65,
       {"cut.h5"},
       [](auto& base, auto& folder) {
         copy_part(base.raw, folder / "cut.h5", 0.5);
         return prepare(folder / "cut.h5", folder);
       }},
      {"MatrixNegative", 65, {"m.csv", "negative"}, prepare_csv(csv_matrix("-2"))},
      {"MatrixNotFinite", 65, {"m.csv"}, prepare_csv(csv_matrix("nan"))},
      {"MatrixNormalisedAlready", 65, {"m.csv", "--prepare.rna z"}, prepare_csv(csv_matrix("2.5"))},
      {"MatrixRagged", 65, {"m.csv", "line"}, prepare_csv(csv_matrix() + "GENE9,1,2\n")},
      {"MatrixOfWords", 65, {"m.csv", "many"}, prepare_csv(csv_matrix("many"))},
      {"NoCellLeft",
       65,
       {"0 cells"},
       prepare_csv(csv_matrix(), {"--prepare.qc", "bounds", "--prepare.min_rna_counts", "1000000"})},
      {"NoBarcodeMatches",
       65,
       {"b.txt"},
       [](auto& base, auto& folder) {
         write(folder / "b.txt", "TTTT-1\n");
         return prepare_csv(csv_matrix(), {"--barcodes", (folder / "b.txt").string()})(base, folder);
       }},
      {"PeaksWithoutAnnotation",
       64,
       {"annotation"},
       [](auto& base, auto& folder) {
         return prepare(base.raw, folder, {"--atac", base.raw.string()});
       }},
      {"AnnotationIsProse",
       65,
       {"a.gtf"},
       [](auto& base, auto& folder) {
         write(folder / "a.gtf", "this is no annotation\n");
         return prepare(base.raw, folder, {"--annotation", (folder / "a.gtf").string()});
       }},
      {"AnnotationOfOtherGenes",
       65,
       {"a.gtf", "gene"},
       [](auto& base, auto& folder) {
         write(folder / "a.gtf",
               "chr1\tx\texon\t100\t200\t.\t+\t.\tgene_id \"YAL1\"; transcript_id \"T\"; "
               "gene_name \"YAL1\";\n");
         return prepare(base.raw, folder, {"--annotation", (folder / "a.gtf").string()});
       }},
      {"BlacklistIsProse",
       65,
       {"b.bed"},
       [](auto& base, auto& folder) {
         write(folder / "b.bed", "chr1\tten\ttwenty\n");
         return prepare(
             base.raw, folder,
             {"--annotation", base.annotation.string(), "--blacklist", (folder / "b.bed").string()});
       }},

      // Weights, folders of runs, evaluation.
      {"WeightsTruncated",
       65,
       {"w.safetensors"},
       [](auto& base, auto& folder) {
         write(folder / "w.safetensors", std::string("\x40\0\0\0\0\0\0\0{", 9));
         return train_with(base, folder, {{"--train.init", (folder / "w.safetensors").string()}}, "finetune");
       }},
      {"PredictFromNoRun",
       65,
       {"not the folder of a run"},
       [](auto&, auto& folder) {
         return Arguments{"predict", "--run", folder.string(), "--out", (folder / "out").string()};
       }},
      {"EvaluateNoRun",
       65,
       {"norun"},
       [](auto&, auto& folder) {
         return Arguments{"evaluate", "--run", (folder / "norun").string()};
       }},
      {"EvaluateEdgesOfOtherGenes",
       65,
       {"e.csv"},
       [](auto& base, auto& folder) {
         write(folder / "e.csv", "Gene1\tGene2\tEdgeWeight\nYAL1\tYAL2\t0.5\n");
         return Arguments{
             "evaluate",   "--edges", (folder / "e.csv").string(), "--network", base.network.string(),
             "--protocol", "beeline"};
       }},
      {"SampleOfAnUnknownGene",
       65,
       {"NOSUCHGENE"},
       [](auto& base, auto& folder) {
         auto arguments = train_with(base, folder, {{"--out", ""}}, "sample");
         arguments.insert(arguments.end(), {"--tf", "NOSUCHGENE", "--gene", "NOSUCHGENE2"});
         return arguments;
       }},

      // Outputs.
      {"OutputUnderAFile",
       74,
       {"file"},
       [](auto& base, auto& folder) {
         write(folder / "file", "");
         return train_with(base, folder, {{"--out", (folder / "file" / "out").string()}});
       }},
      {"DatasetUnderAFile",
       74,
       {"file"},
       [](auto& base, auto& folder) {
         write(folder / "file", "");
         return Arguments{"prepare",
                          "--rna",
                          base.raw.string(),
                          "--annotation",
                          base.annotation.string(),
                          "--out",
                          (folder / "file" / "out").string()};
       }},
  };
  return table;
}

class BadInput : public testing::TestWithParam<std::size_t> {};

TEST_P(BadInput, EndsWithItsCodeItsMessageAndNothingHalfWritten) {
  const BadCase& bad = cases()[GetParam()];
  const SmallCase& base = small_case();
  const TemporaryDirectory folder;
  const Arguments arguments = bad.arguments(base, folder.path());
  const ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.code, bad.code) << result.errors;
  EXPECT_EQ(result.errors.rfind("error: ", 0) == 0 || result.errors.find("\nerror: ") != std::string::npos,
            true)
      << result.errors;
  EXPECT_NE(result.errors.find("\nhint: "), std::string::npos) << result.errors;
  for (const auto& words : bad.says) {
    EXPECT_NE(result.errors.find(words), std::string::npos) << "no \"" << words << "\" in:\n"
                                                            << result.errors;
  }
  EXPECT_FALSE(fs::is_regular_file(folder / "out")) << "a dataset was left behind";
  EXPECT_FALSE(fs::exists(folder / "out" / "result.json"));
  EXPECT_FALSE(fs::exists(folder / "out" / "model.safetensors"));
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().filename().string().find(".tmp-"), std::string::npos) << entry.path();
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BadInput, testing::Range<std::size_t>(0, cases().size()),
                         [](const testing::TestParamInfo<std::size_t>& one) {
                           return std::string(cases()[one.param].name);
                         });

TEST(BadInputOnRanks, OneRankWithAnotherConfigIsRefusedOnAll) {
  const TemporaryDirectory folder;
  const auto& base = small_case();
  const auto line = [&](const char* epochs) {
    std::string text = " " + mgrn::test::program_path();
    for (const auto& word : train_with(base, folder.path(), {{"--train.epochs", epochs}})) {
      text += " '" + word + "'";
    }
    return text;
  };
  const ProgramResult result = run_shell(mgrn::test::mpiexec(1) + line("2") + " : -n 1" + line("3"));
  EXPECT_EQ(result.code, 64) << result.errors;
  EXPECT_NE(result.errors.find("epochs"), std::string::npos) << result.errors;
  EXPECT_FALSE(fs::exists(folder / "out" / "result.json"));
}

TEST(BadInputOnRanks, AnErrorIsSaidOnceNotOncePerRank) {
  const TemporaryDirectory folder;
  const ProgramResult result = run_program(
      train_with(small_case(), folder.path(), {{"--data.network", (folder / "nowhere.csv").string()}}), 3);
  EXPECT_EQ(result.code, 65) << result.errors;
  const auto first = result.errors.find("error: ");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(result.errors.find("error: ", first + 1), std::string::npos) << result.errors;
}

TEST(BadOutput, AFullStandardOutputIsNotASilentLoss) {
  const auto& base = small_case();
  const ProgramResult result =
      run_shell(mgrn::test::program_path() + " inspect '" + base.dataset.string() + "' > /dev/full");
  EXPECT_EQ(result.code, 74) << result.errors;
}

// A file system of 64 KiB: the dataset does not fit.
TEST(BadOutput, AFullDiskLeavesNoDataset) {
  const TemporaryDirectory folder;
  const fs::path disk = folder / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  }
  const auto& base = small_case();
  for (const int ranks : {0, 2}) {
    const ProgramResult result = run_program({"prepare", "--rna", base.raw.string(), "--annotation",
                                              base.annotation.string(), "--out", (disk / "d.h5").string()},
                                             ranks);
    EXPECT_EQ(result.code, 74) << result.errors;
    EXPECT_NE(result.errors.find("space"), std::string::npos) << result.errors;
    EXPECT_TRUE(fs::is_empty(disk)) << "something was left behind";
  }
  ::umount(disk.c_str());
}

}  // namespace
