// SPDX-License-Identifier: Apache-2.0
// `prepare` is streamed: its memory stays below twice the inputs' non-zeros (8 bytes each) plus one block of
// genes. Measured on the program itself, against a run on a file of the same features with few cells, which
// pays for the libraries and the names alike.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "multigrnformer/formats/tenx_writer.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
namespace formats = mgrn::formats;
using mgrn::test::TemporaryDirectory;

constexpr std::uint64_t kGenes = 4000;
constexpr std::uint64_t kPeaks = 6000;
constexpr std::uint64_t kCells = 3000;
constexpr std::uint64_t kFewCells = 50;
constexpr std::uint64_t kBlockGenes = 50;
constexpr std::uint64_t kCellsPerAppend = 250;  // keeps this process small: a child starts with its size

constexpr std::uint64_t kEntryBytes = 8;  // number and value
// An entry of a block of genes at its largest: cell and RP as double, as sent and as received.
constexpr std::uint64_t kBlockEntryBytes = 24;
// What is read at once (512 cells with all features) and what HDF5 and its filters hold meanwhile.
constexpr std::uint64_t kPieces = std::uint64_t{16} << 20;

struct Raw {
  fs::path file;
  std::uint64_t gene_entries = 0;
  std::uint64_t peak_entries = 0;
};

// Genes far apart, each with its peaks near by, so that RP takes little time.
constexpr std::uint64_t start_of_gene(std::uint64_t gene) {
  return 1'000'000 + 400'000 * gene;
}

Raw write_raw(const fs::path& file, std::uint64_t cells) {
  std::vector<formats::Feature> features;
  for (std::uint64_t gene = 0; gene < kGenes; ++gene) {
    const std::string name = "GENE" + std::to_string(gene);
    features.push_back({.id = name,
                        .name = name,
                        .type = formats::FeatureType::gene_expression,
                        .genome = "x",
                        .interval = ""});
  }
  for (std::uint64_t peak = 0; peak < kPeaks; ++peak) {
    const std::uint64_t start = start_of_gene(peak % kGenes) + 2000 * (peak / kGenes);
    const std::string name = "chr1:" + std::to_string(start) + "-" + std::to_string(start + 500);
    features.push_back(
        {.id = name, .name = name, .type = formats::FeatureType::peaks, .genome = "x", .interval = name});
  }
  std::vector<std::string> barcodes;
  for (std::uint64_t cell = 0; cell < cells; ++cell) {
    barcodes.push_back("CELL" + std::to_string(cell) + "-1");
  }
  Raw raw{.file = file};
  formats::TenxH5Writer writer(file, features, barcodes);
  std::uint64_t state = 1;
  for (std::uint64_t first = 0; first < cells; first += kCellsPerAppend) {
    formats::CellBlock block{.first_cell = first, .offsets = {0}, .feature = {}, .value = {}};
    for (std::uint64_t cell = first; cell < std::min(cells, first + kCellsPerAppend); ++cell) {
      for (std::uint32_t feature = 0; feature < features.size(); ++feature) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const bool is_gene = feature < kGenes;
        if ((state >> 56) < (is_gene ? 128u : 52u)) {  // of 256: half of the genes, a fifth of the peaks
          block.feature.push_back(feature);
          block.value.push_back(static_cast<float>(1 + (state >> 40) % 4));
          ++(is_gene ? raw.gene_entries : raw.peak_entries);
        }
      }
      block.offsets.push_back(block.feature.size());
    }
    writer.append(block);
  }
  writer.finish();
  return raw;
}

void write_annotation(const fs::path& file) {
  std::ofstream text(file);
  for (std::uint64_t gene = 0; gene < kGenes; ++gene) {
    const std::string name = "\"GENE" + std::to_string(gene) + "\"";
    text << "chr1\tx\texon\t" << start_of_gene(gene) << '\t' << start_of_gene(gene) + 3000
         << "\t.\t+\t.\tgene_id " << name << "; transcript_id " << name << "; gene_name " << name << ";\n";
  }
}

// Peak resident memory of one call of the program, in bytes.
std::uint64_t peak_memory(std::vector<std::string> arguments, const fs::path& log) {
  arguments.insert(arguments.begin(), MGRN_PROGRAM);
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, MGRN_PROGRAM, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(failed, 0);
  int status = -1;
  rusage usage{};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << std::ifstream(log).rdbuf();
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

class PrepareMemory : public testing::Test {
 protected:
  static void SetUpTestSuite() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return;
#endif
    folder_ = new TemporaryDirectory;
    write_annotation(*folder_ / "annotation.gtf");
    few_ = write_raw(*folder_ / "few.h5", kFewCells);
    many_ = write_raw(*folder_ / "many.h5", kCells);
  }
  static void TearDownTestSuite() {
    delete folder_;
  }

  void SetUp() override {
    if (folder_ == nullptr) {
      GTEST_SKIP() << "sanitizers keep freed memory and shadows of all of it";
    }
  }

  static std::uint64_t peak_of(const Raw& raw, bool with_peaks) {
    std::vector<std::string> arguments = {"prepare",
                                          "--rna",
                                          raw.file.string(),
                                          "--out",
                                          (*folder_ / "out.h5").string(),
                                          "--prepare.qc",
                                          "none",
                                          "--prepare.block_genes",
                                          std::to_string(kBlockGenes)};
    if (with_peaks) {
      arguments.insert(arguments.end(), {"--annotation", (*folder_ / "annotation.gtf").string()});
    }
    return peak_memory(arguments, *folder_ / "log.txt");
  }

  static void expect_bounded(bool with_peaks) {
    const std::uint64_t entries = many_.gene_entries + (with_peaks ? many_.peak_entries : 0);
    const std::uint64_t bound = 2 * kEntryBytes * entries + kBlockGenes * kCells * kBlockEntryBytes + kPieces;
    // A third copy must show.
    ASSERT_GT(kEntryBytes * entries, 2 * (kBlockGenes * kCells * kBlockEntryBytes + kPieces));
    const std::uint64_t base = peak_of(few_, with_peaks);
    const std::uint64_t peak = peak_of(many_, with_peaks);
    RecordProperty("base_mib", std::to_string(base >> 20));
    RecordProperty("peak_mib", std::to_string(peak >> 20));
    EXPECT_LT(peak, base + bound) << "non-zeros take " << (kEntryBytes * entries >> 20)
                                  << " MiB, the program without them " << (base >> 20) << " MiB, with them "
                                  << (peak >> 20) << " MiB";
  }

  static inline TemporaryDirectory* folder_ = nullptr;
  static inline Raw few_;
  static inline Raw many_;
};

TEST_F(PrepareMemory, OfGenesStaysBelowTwiceTheNonZeros) {
  expect_bounded(false);
}

TEST_F(PrepareMemory, OfGenesAndPeaksStaysBelowTwiceTheNonZeros) {
  expect_bounded(true);
}

}  // namespace
