// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "example_dataset.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/formats/hdf5.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::store {
namespace {

namespace hdf5 = formats::hdf5;
using test::TemporaryDirectory;

std::filesystem::path write_alone(const std::filesystem::path& file, const Example& example = {}) {
  const auto self = comm::make_self_communicator();
  write_example(*self, file, example);
  return file;
}

void expect_content(const Dataset& dataset, const Example& example) {
  const auto header = example_header(example);
  EXPECT_EQ(dataset.header().id, header.id);
  EXPECT_EQ(dataset.header().genes, header.genes);
  EXPECT_EQ(dataset.header().barcodes, header.barcodes);
  EXPECT_EQ(dataset.header().has_atac, header.has_atac);
  EXPECT_EQ(dataset.header().variance, header.variance);
  EXPECT_EQ(dataset.header().vst, header.vst);
  EXPECT_EQ(dataset.header().rna_background, header.rna_background);
  EXPECT_EQ(dataset.header().rp_background, header.rp_background);
  EXPECT_EQ(dataset.header().settings, header.settings);
  EXPECT_EQ(dataset.header().sources, header.sources);
  EXPECT_EQ(dataset.header().quality, header.quality);
  for (const Layer layer : example.has_atac ? std::vector{Layer::rna, Layer::rp} : std::vector{Layer::rna}) {
    std::uint64_t entries = 0;
    for (std::uint32_t gene = 0; gene < example.genes; ++gene) {
      const GeneRow expected = example_row(example, layer, gene);
      const GeneRow row = dataset.row(layer, gene);
      ASSERT_EQ(row.cell, expected.cell) << "gene " << gene;
      ASSERT_EQ(row.value, expected.value) << "gene " << gene;
      ASSERT_EQ(row.count, expected.count) << "gene " << gene;
      ASSERT_EQ(dataset.nonzeros(layer, gene), expected.cell.size());
      entries += expected.cell.size();
    }
    EXPECT_EQ(dataset.nonzeros(layer), entries);
  }
}

// The message of the DataError that `work` throws, empty when it throws none.
std::string data_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const base::DataError& error) {
    EXPECT_EQ(error.code(), base::ExitCode::data);
    return error.what();
  }
  return "";
}

// Changes a file through HDF5 itself, as a valid file.
void tamper(const std::filesystem::path& file, const std::function<void(hid_t)>& change) {
  const hdf5::Identifier opened(H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  ASSERT_TRUE(static_cast<bool>(opened));
  change(opened.get());
}

void set_attribute(hid_t file, const char* name, std::int32_t value) {
  const hdf5::Identifier attribute(H5Aopen(file, name, H5P_DEFAULT), H5Aclose);
  ASSERT_GE(H5Awrite(attribute.get(), H5T_NATIVE_INT32, &value), 0);
}

template <typename T>
void set_element(hid_t file, const char* name, hsize_t at, T value) {
  const hdf5::Identifier dataset(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose);
  const hdf5::Identifier space(H5Dget_space(dataset.get()), H5Sclose);
  const hsize_t one = 1;
  const hdf5::Identifier memory(H5Screate_simple(1, &one, nullptr), H5Sclose);
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &at, nullptr, &one, nullptr);
  ASSERT_GE(H5Dwrite(dataset.get(), hdf5::native_type<T>(), memory.get(), space.get(), H5P_DEFAULT, &value),
            0);
}

TEST(Dataset, ReturnsWhatWasWritten) {
  const TemporaryDirectory folder;
  const Example example;
  const Dataset dataset(write_alone(folder / "d.h5"));
  ASSERT_GT(dataset.nonzeros(Layer::rna), std::uint64_t{2} << 18);  // several chunks
  expect_content(dataset, example);
  EXPECT_NO_THROW(dataset.verify());
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"d.h5"});
}

TEST(Dataset, OfRnaAloneHasNoRpLayer) {
  const TemporaryDirectory folder;
  const Example example{.genes = 20, .cells = 50, .has_atac = false, .block = 7};
  const Dataset dataset(write_alone(folder / "d.h5", example));
  expect_content(dataset, example);
  dataset.verify();
  EXPECT_THROW(dataset.row(Layer::rp, 0), base::InternalError);
}

TEST(Dataset, MayBeEmpty) {
  const TemporaryDirectory folder;
  const Example example{.genes = 0, .cells = 0, .has_atac = true};
  const Dataset dataset(write_alone(folder / "d.h5", example));
  EXPECT_EQ(dataset.genes(), 0U);
  EXPECT_EQ(dataset.nonzeros(Layer::rp), 0U);
  dataset.verify();
}

TEST(Dataset, IsTheSameFromAnyNumberOfThreadRanksAndAnyBlocks) {
  const TemporaryDirectory folder;
  const auto reference = Dataset(write_alone(folder / "self.h5")).checksums();
  EXPECT_EQ(reference.size(), 17U) << reference;
  for (int ranks = 1; ranks <= 4; ++ranks) {
    Example example;
    example.block = 50U * static_cast<unsigned>(ranks) + 1;
    const auto file = folder / ("ranks" + std::to_string(ranks) + ".h5");
    comm::run_ranks(ranks, [&](comm::Communicator& world) { write_example(world, file, example); });
    const Dataset dataset(file);
    EXPECT_EQ(dataset.checksums(), reference) << ranks << " ranks";
    dataset.verify();
    if (ranks == 3) {
      expect_content(dataset, example);
    }
  }
}

TEST(Dataset, FileIsByteStable) {
  const TemporaryDirectory folder;
  const Example example{.genes = 30, .cells = 40, .has_atac = true, .block = 10};
  const auto first = base::read_file(write_alone(folder / "a.h5", example));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // no time of day in it
  const auto second = base::read_file(write_alone(folder / "b.h5", example));
  ASSERT_EQ(first.size(), second.size());
  const auto differs = std::mismatch(first.begin(), first.end(), second.begin()).first;
  EXPECT_TRUE(differs == first.end()) << "from byte " << differs - first.begin();
}

TEST(Dataset, ReadsManyRowsInTheOrderAskedFor) {
  const TemporaryDirectory folder;
  const Example example;
  const Dataset dataset(write_alone(folder / "d.h5"));
  const std::vector<std::uint32_t> genes{499, 0, 1, 2, 250, 7, 8, 250, 3, 120, 480};
  for (const Layer layer : {Layer::rna, Layer::rp}) {
    const auto rows = dataset.rows(layer, genes);
    ASSERT_EQ(rows.size(), genes.size());
    for (std::size_t i = 0; i < genes.size(); ++i) {
      const GeneRow expected = example_row(example, layer, genes[i]);
      EXPECT_EQ(rows[i].cell, expected.cell) << genes[i];
      EXPECT_EQ(rows[i].value, expected.value) << genes[i];
      EXPECT_EQ(rows[i].count, expected.count) << genes[i];
    }
  }
  EXPECT_TRUE(dataset.rows(Layer::rna, {}).empty());
  EXPECT_THROW(dataset.row(Layer::rna, 500), base::InternalError);
}

TEST(Dataset, FindsGenesInAnyCase) {
  const TemporaryDirectory folder;
  const Dataset dataset(write_alone(folder / "d.h5", {.genes = 20, .cells = 5}));
  EXPECT_EQ(dataset.find_gene("GENE10004"), 4);
  EXPECT_EQ(dataset.find_gene("gene10019"), 19);
  EXPECT_EQ(dataset.find_gene("GENE10020"), -1);
}

TEST(Dataset, ChecksumsAreThoseOfZlib) {
  // The genes' checksum, from Python: zlib.crc32(b"Gene10000Gene10001Gene10002").
  const TemporaryDirectory folder;
  const Dataset dataset(write_alone(folder / "d.h5", {.genes = 3, .cells = 5}));
  EXPECT_EQ(dataset.checksums().at("genes"), "fab4abfb");
}

TEST(Dataset, RefusesWhatIsNotADatasetFile) {
  const TemporaryDirectory folder;
  EXPECT_NE(data_error([&] { Dataset(folder / "none.h5"); }).find("does not exist"), std::string::npos);
  std::ofstream(folder / "text.h5") << "gene,cell\n";
  EXPECT_NE(data_error([&] { Dataset(folder / "text.h5"); }).find("not an HDF5 file"), std::string::npos);
  {
    auto other = hdf5::File::create(folder / "other.h5");
    other.create_group("matrix");
    other.close();
  }
  const auto message = data_error([&] { Dataset(folder / "other.h5"); });
  EXPECT_NE(message.find("not a dataset file"), std::string::npos) << message;
  EXPECT_NE(message.find("multigrnformer prepare"), std::string::npos) << message;
}

TEST(Dataset, RefusesANewerMajorVersionNamingBoth) {
  const TemporaryDirectory folder;
  const auto file = write_alone(folder / "d.h5", {.genes = 3, .cells = 5});
  tamper(file, [](hid_t id) { set_attribute(id, "format_version_major", kFormatMajor + 1); });
  const auto message = data_error([&] { Dataset{file}; });
  EXPECT_NE(message.find("newer format version"), std::string::npos) << message;
  EXPECT_NE(message.find("expected major version 1, got version 2.0"), std::string::npos) << message;
}

TEST(Dataset, RefusesATruncatedFile) {
  const TemporaryDirectory folder;
  const auto file = write_alone(folder / "d.h5");
  const auto size = std::filesystem::file_size(file);
  for (const auto left : {size - 1, size / 2, std::uintmax_t{100}, std::uintmax_t{0}}) {
    const auto cut = folder / "cut.h5";
    std::filesystem::copy_file(file, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, left);
    const auto message = data_error([&] { Dataset{cut}; });
    EXPECT_NE(message.find("cut.h5"), std::string::npos) << left << ": " << message;
  }
}

TEST(Dataset, NamesTheDatasetWithACorruptedByte) {
  const TemporaryDirectory folder;
  const auto file = write_alone(folder / "d.h5");
  haddr_t address = 0;
  hsize_t size = 0;
  tamper(file, [&](hid_t id) {
    const hdf5::Identifier dataset(H5Dopen2(id, "rp/value", H5P_DEFAULT), H5Dclose);
    const hdf5::Identifier space(H5Dget_space(dataset.get()), H5Sclose);
    ASSERT_GE(H5Dget_chunk_info(dataset.get(), space.get(), 1, nullptr, nullptr, &address, &size), 0);
  });
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(address + size / 2));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(address + size / 2));
  stream.put(static_cast<char>(byte ^ 4));
  stream.close();
  const Dataset dataset(file);  // the matrices are not read yet
  const auto message = data_error([&] { dataset.verify(); });
  EXPECT_NE(message.find("rp/value"), std::string::npos) << message;
  EXPECT_NE(message.find(file.string()), std::string::npos) << message;
}

TEST(Dataset, NamesThePartThatDiffersFromItsChecksum) {
  const TemporaryDirectory folder;
  const auto good = write_alone(folder / "d.h5", {.genes = 20, .cells = 60});
  const auto tampered = [&](const std::function<void(hid_t)>& change) {
    const auto file = folder / "tampered.h5";
    std::filesystem::copy_file(good, file, std::filesystem::copy_options::overwrite_existing);
    tamper(file, change);
    return data_error([&] { Dataset(file).verify(); });
  };
  EXPECT_EQ(tampered([](hid_t) {}), "");
  const std::vector<std::pair<std::string, std::function<void(hid_t)>>> changes{
      {"rna/value", [](hid_t id) { set_element<float>(id, "rna/value", 17, 3.25F); }},
      {"rna/count", [](hid_t id) { set_element<float>(id, "rna/count", 17, 99.0F); }},
      {"rp/value", [](hid_t id) { set_element<float>(id, "rp/value", 1, 3.25F); }},
      {"rna/cell", [](hid_t id) { set_element<std::uint32_t>(id, "rna/cell", 0, 5000); }},
      {"rna/offsets", [](hid_t id) { set_element<std::uint64_t>(id, "rna/offsets", 1, 3); }},
      {"variance", [](hid_t id) { set_element<double>(id, "variance", 1, 9.0); }},
      {"vst", [](hid_t id) { set_element<double>(id, "vst", 0, 9.0); }},
      {"rp/background", [](hid_t id) { set_element<float>(id, "rp/background", 0, 9.0F); }},
      {"attributes", [](hid_t id) { set_attribute(id, "format_version_minor", 7); }},
  };
  for (const auto& [part, change] : changes) {
    EXPECT_NE(tampered(change).find("checksum of " + part + " differs"), std::string::npos)
        << tampered(change);
  }
}

TEST(Dataset, RefusesAMissingPart) {
  const TemporaryDirectory folder;
  const auto good = write_alone(folder / "d.h5", {.genes = 20, .cells = 60});
  for (const std::string part :
       {"rna/value", "rna/offsets", "genes", "barcodes", "settings", "rp/cell", "rp"}) {
    const auto file = folder / "less.h5";
    std::filesystem::copy_file(good, file, std::filesystem::copy_options::overwrite_existing);
    tamper(file, [&](hid_t id) { ASSERT_GE(H5Ldelete(id, part.c_str(), H5P_DEFAULT), 0); });
    EXPECT_NE(data_error([&] { Dataset{file}; }).find(part), std::string::npos) << part;
  }
}

TEST(Dataset, RefusesShapesThatDoNotFit) {
  const TemporaryDirectory folder;
  const auto file = write_alone(folder / "d.h5", {.genes = 20, .cells = 60});
  tamper(file, [](hid_t id) {
    const hdf5::Identifier dataset(H5Dopen2(id, "rna/count", H5P_DEFAULT), H5Dclose);
    const hsize_t shorter = 10;
    ASSERT_GE(H5Dset_extent(dataset.get(), &shorter), 0);
  });
  const auto message = data_error([&] { Dataset{file}; });
  EXPECT_NE(message.find("shape of rna/count"), std::string::npos) << message;
}

TEST(Dataset, ARowWithImpossibleCellsIsRefusedWhenRead) {
  const TemporaryDirectory folder;
  const auto file = write_alone(folder / "d.h5", {.genes = 20, .cells = 60});
  tamper(file, [](hid_t id) { set_element<std::uint32_t>(id, "rna/cell", 2, 4000000000U); });
  const Dataset dataset(file);
  EXPECT_NE(data_error([&] { dataset.row(Layer::rna, 0); }).find("Gene10000"), std::string::npos);
  EXPECT_NO_THROW(dataset.row(Layer::rna, 5));
}

TEST(Dataset, NoFlippedByteIsEverTakenForGood) {
  const TemporaryDirectory folder;
  const Example example{.genes = 9, .cells = 12, .has_atac = true, .block = 4};
  const std::string good = base::read_file(write_alone(folder / "d.h5", example));
  const auto reference = Dataset(folder / "d.h5").checksums();
  std::size_t refused = 0;
  std::size_t tried = 0;
  for (std::size_t at = 0; at < good.size(); at += 797) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    std::ofstream(folder / "bad.h5", std::ios::binary) << bad;
    ++tried;
    // Bytes that HDF5 does not use may be anything; then all must be as it was.
    if (!data_error([&] {
           const Dataset dataset(folder / "bad.h5");
           dataset.verify();
           EXPECT_EQ(dataset.checksums(), reference) << "byte " << at;
           EXPECT_EQ(dataset.header().genes, example_header(example).genes) << "byte " << at;
         }).empty()) {
      ++refused;
    }
  }
  EXPECT_GT(refused, tried / 10);
}

TEST(DatasetWriter, CannotWriteIntoAFolderThatIsNotThere) {
  const TemporaryDirectory folder;
  comm::run_ranks(3, [&](comm::Communicator& world) {
    try {
      DatasetWriter writer(world, folder / "none/d.h5");
      ADD_FAILURE() << "rank " << world.rank();
    } catch (const base::OutputError& error) {
      EXPECT_EQ(error.code(), base::ExitCode::output);
      EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos)
          << error.what();
    }
  });
}

TEST(DatasetWriter, LeavesNothingWhenItsUserFails) {
  const TemporaryDirectory folder;
  EXPECT_THROW(comm::run_ranks(3,
                               [&](comm::Communicator& world) {
                                 DatasetWriter writer(world, folder / "d.h5");
                                 append_example(world, writer, {}, Layer::rna);
                                 if (world.rank() == 1) {
                                   throw base::DataError({.what = "peaks are wrong"});
                                 }
                                 append_example(world, writer, {}, Layer::rp);
                               }),
               base::DataError);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{});
}

TEST(DatasetWriter, KeepsTheOldFileUntilTheNewOneIsComplete) {
  const TemporaryDirectory folder;
  const Example old{.genes = 5, .cells = 6};
  write_alone(folder / "d.h5", old);
  const auto self = comm::make_self_communicator();
  {
    DatasetWriter writer(*self, folder / "d.h5");
    append_example(*self, writer, {}, Layer::rna);
  }
  expect_content(Dataset(folder / "d.h5"), old);
  write_alone(folder / "d.h5");
  expect_content(Dataset(folder / "d.h5"), {});
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"d.h5"});
}

TEST(DatasetWriter, RefusesRowsAndHeadersThatDoNotFitTogether) {
  const TemporaryDirectory folder;
  const auto self = comm::make_self_communicator();
  const Example example{.genes = 5, .cells = 6};
  const auto rows_refused = [&](const std::function<void(GeneRows&)>& spoil) {
    DatasetWriter writer(*self, folder / "d.h5");
    GeneRows rows = example_rows(example, Layer::rna, 0, 5);
    spoil(rows);
    EXPECT_THROW(writer.append(Layer::rna, rows), base::InternalError);
    EXPECT_THROW(writer.append(Layer::rna, rows), base::InternalError);  // of no more use
  };
  rows_refused([](GeneRows& rows) { rows.value.pop_back(); });
  rows_refused([](GeneRows& rows) { rows.count.clear(); });
  rows_refused([](GeneRows& rows) { rows.first_gene = 1; });
  rows_refused([](GeneRows& rows) { rows.cell[1] = rows.cell[0]; });
  rows_refused([](GeneRows& rows) { rows.offsets[1] = rows.offsets[2] + 1; });
  rows_refused([](GeneRows& rows) { rows.value[0] = std::numeric_limits<float>::quiet_NaN(); });
  const auto header_refused = [&](const std::function<void(DatasetHeader&)>& spoil) {
    DatasetWriter writer(*self, folder / "d.h5");
    writer.append(Layer::rna, example_rows(example, Layer::rna, 0, 5));
    writer.append(Layer::rp, example_rows(example, Layer::rp, 0, 5));
    auto header = example_header(example);
    spoil(header);
    EXPECT_THROW(writer.finish(header), base::InternalError);
  };
  header_refused([](DatasetHeader& header) { header.genes.pop_back(); });
  header_refused([](DatasetHeader& header) { header.has_atac = false; });
  header_refused([](DatasetHeader& header) { header.vst.clear(); });
  header_refused([](DatasetHeader& header) { header.barcodes.resize(2); });
  header_refused([](DatasetHeader& header) { header.id = "xyz"; });
  header_refused([](DatasetHeader& header) { header.genes[2] = ""; });
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{});
}

TEST(DatasetWriter, KilledLeavesNoFileUnderTheTargetsName) {
  const TemporaryDirectory folder;
  const pid_t child = fork();
  if (child == 0) {
    const auto self = comm::make_self_communicator();
    DatasetWriter writer(*self, folder / "d.h5");
    append_example(*self, writer, {}, Layer::rna);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(std::filesystem::exists(folder / "d.h5"));
}

TEST(DatasetWriter, OnAFullDiskEveryRankGetsAnOutputErrorAndNothingIsLeft) {
  const TemporaryDirectory folder;
  const SmallDisk disk(folder / "small", "3m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "a small file system is needed: " << disk.reason();
  }
  for (int ranks : {1, 3}) {
    int caught = 0;
    std::mutex mutex;
    comm::run_ranks(ranks, [&](comm::Communicator& world) {
      try {
        write_example(world, folder / "small/d.h5");
      } catch (const base::OutputError& error) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(error.code(), base::ExitCode::output);
        ++caught;
      }
    });
    EXPECT_EQ(caught, ranks);
    EXPECT_EQ(names_in(folder / "small"), std::vector<std::string>{});
    EXPECT_EQ(H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL), 0)
        << "HDF5 still holds the file";
  }
  // The disk is free again, and HDF5 still works.
  const Example small{.genes = 5, .cells = 6};
  write_alone(folder / "small/d.h5", small);
  expect_content(Dataset(folder / "small/d.h5"), small);
}

TEST(DatasetWriter, ADiskThatFillsUpOnTheWayDoesNotKeepTheFileOpen) {
  const TemporaryDirectory folder;
  const SmallDisk disk(folder / "small", "12m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "a small file system is needed: " << disk.reason();
  }
  const auto self = comm::make_self_communicator();
  DatasetWriter writer(*self, folder / "small/d.h5");
  append_example(*self, writer, {}, Layer::rna);
  std::ofstream(folder / "small/filler", std::ios::binary)
      << std::string(std::size_t{1} << 24U, 'x') << std::flush;
  EXPECT_THROW(append_example(*self, writer, {}, Layer::rp), base::OutputError);
  EXPECT_EQ(names_in(folder / "small"), std::vector<std::string>{"filler"});
  EXPECT_EQ(H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL), 0) << "HDF5 still holds the file";
}

// HDF5 keeps small datasets in memory until it flushes: the disk is found full only at the end.
TEST(DatasetWriter, ADiskThatIsFullOnlyAtTheEndIsAnOutputErrorToo) {
  const TemporaryDirectory folder;
  const SmallDisk disk(folder / "small", "4m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "a small file system is needed: " << disk.reason();
  }
  const auto self = comm::make_self_communicator();
  for (const int spare : {0, 8, 200}) {  // pages of 4 KiB left
    DatasetWriter writer(*self, folder / "small/d.h5");
    const Example example{.genes = 50, .cells = 300};
    append_example(*self, writer, example, Layer::rna);
    append_example(*self, writer, example, Layer::rp);
    {
      std::ofstream filler(folder / "small/filler", std::ios::binary);
      filler << std::string(std::size_t{1} << 23U, 'x') << std::flush;
    }
    std::filesystem::resize_file(
        folder / "small/filler",
        std::filesystem::file_size(folder / "small/filler") - 4096U * static_cast<unsigned>(spare));
    EXPECT_THROW(writer.finish(example_header(example)), base::OutputError) << spare;
    EXPECT_EQ(names_in(folder / "small"), std::vector<std::string>{"filler"});
    std::filesystem::remove(folder / "small/filler");
    EXPECT_EQ(H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL), 0)
        << "HDF5 still holds the file";
  }
}

}  // namespace
}  // namespace mgrn::store
