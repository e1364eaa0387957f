// SPDX-License-Identifier: Apache-2.0
// Whole chunks are written as the rows arrive: before each write the ranks exchange elements so that every
// chunk belongs to one rank, which compresses it. What does not fill a chunk waits on rank 0 for the next
// call. Under MPI all ranks write into one file (MPI-IO); otherwise rank 0 writes for all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <forward_list>
#include <optional>
#include <utility>

#include "disk.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "multigrnformer/formats/hdf5.hpp"
#include "schema.hpp"

namespace mgrn::store {
namespace {

namespace hdf5 = formats::hdf5;
using comm::Bytes;
using schema::kChunk;

constexpr std::uint64_t kWidth = 4;         // bytes of an element of every matrix column
constexpr std::uint64_t kRoundChunks = 64;  // chunks one rank writes at a time: bounds HDF5's buffers

// A stretch of a column, in elements counted from the layer's first.
struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t size() const { return last - first; }
  Range within(const Range& other) const {
    const auto low = std::clamp(other.first, first, last);
    return {low, std::clamp(other.last, low, std::max(low, last))};
  }
};

struct ColumnState {
  schema::Column column;
  std::optional<hdf5::Dataset> dataset;  // on ranks that write
  Checksum checksum;                     // of what is written, the same on all ranks
  Bytes pending;                         // rank 0: elements from `written` on
};

struct LayerState {
  std::vector<ColumnState> columns;
  std::vector<std::uint64_t> offsets{0};  // all genes appended so far; the same on all ranks
  std::uint64_t written = 0;              // elements in the file, a multiple of kChunk until finish()
  std::uint32_t cell_limit = 0;           // one more than the largest cell index on this rank
};

[[noreturn]] void misuse(const std::string& what, const std::string& expected = {},
                         const std::string& got = {}) {
  throw base::InternalError({.what = what, .expected = expected, .got = got});
}

void check_rows(Layer layer, const GeneRows& rows, LayerState& state) {
  if (rows.offsets.empty() ? !rows.cell.empty() : rows.offsets.front() != 0) {
    misuse("gene rows without offsets from 0 on");
  }
  const std::uint64_t entries = rows.offsets.empty() ? 0 : rows.offsets.back();
  if (rows.cell.size() != entries || rows.value.size() != entries ||
      rows.count.size() != (layer == Layer::rna ? entries : 0)) {
    misuse("gene rows whose columns differ in length", std::to_string(entries) + " entries each",
           std::to_string(rows.cell.size()) + " cells, " + std::to_string(rows.value.size()) + " values, " +
               std::to_string(rows.count.size()) + " counts");
  }
  for (std::size_t gene = 0; gene + 1 < rows.offsets.size(); ++gene) {
    const auto first = rows.offsets[gene];
    const auto last = rows.offsets[gene + 1];
    if (last < first || last > entries) {
      misuse("gene rows whose offsets do not ascend");
    }
    for (auto i = first; i < last; ++i) {
      if (i > first && rows.cell[i] <= rows.cell[i - 1]) {
        misuse("cells of gene " + std::to_string(rows.first_gene + gene) + " do not ascend");
      }
      if (!std::isfinite(rows.value[i]) || (layer == Layer::rna && !std::isfinite(rows.count[i]))) {
        misuse("gene " + std::to_string(rows.first_gene + gene) + " has a value that is not finite");
      }
      state.cell_limit = std::max(state.cell_limit, rows.cell[i] + 1);
    }
  }
}

void check_header(const DatasetHeader& header, const LayerState& rna, const LayerState& rp,
                  std::uint32_t cell_limit) {
  const auto genes = header.genes.size();
  const auto expect = [&](const char* what, std::size_t expected, std::size_t got) {
    if (expected != got) {
      misuse(std::string("dataset header: ") + what, std::to_string(expected), std::to_string(got));
    }
  };
  expect("genes of layer rna", genes, rna.offsets.size() - 1);
  expect("genes of layer rp", header.has_atac ? genes : 0, rp.offsets.size() - 1);
  expect("values of variance", genes, header.variance.size());
  expect("values of vst", genes, header.vst.size());
  expect("values of rna_background", genes, header.rna_background.size());
  expect("values of rp_background", header.has_atac ? genes : 0, header.rp_background.size());
  if (cell_limit > header.barcodes.size()) {
    misuse("a cell index beyond the barcodes", "below " + std::to_string(header.barcodes.size()),
           std::to_string(cell_limit - 1));
  }
  if (header.id.size() != 16 || header.id.find_first_not_of("0123456789abcdef") != std::string::npos) {
    misuse("dataset header: id", "16 hexadecimal digits", header.id);
  }
  for (const auto* names : {&header.genes, &header.barcodes}) {
    for (const auto& name : *names) {
      if (name.empty() || name.find('\0') != std::string::npos) {
        misuse("dataset header: an empty name, or one with a NUL in it");
      }
    }
  }
}

// Everything in the header, as one number: cheap to compare between ranks.
std::string digest(const DatasetHeader& header) {
  Checksum sum;
  const auto add = [&](const auto& values) { sum.append(checksum_of(std::span(values))); };
  for (const auto* names : {&header.genes, &header.barcodes}) {
    for (const auto& name : *names) {
      add(name + '\n');
    }
    add(std::string("\n\n"));
  }
  add(header.id + (header.has_atac ? "1" : "0"));
  add(header.variance);
  add(header.vst);
  add(header.rna_background);
  add(header.rp_background);
  for (const auto* json : {&header.settings, &header.sources, &header.quality}) {
    add(*json);
  }
  return sum.text();
}

}  // namespace

struct DatasetWriter::State {
  // What unfinished writers leave open: never destroyed, yet reachable, so that no leak checker takes it for
  // lost.
  struct Abandoned {
    LayerState layers[2];
    std::vector<hdf5::Dataset> known;
    hdf5::File file;
  };
  static std::forward_list<Abandoned>& abandoned() {
    static auto* const kept = new std::forward_list<Abandoned>();
    return *kept;
  }

  State(comm::Communicator& ranks, const std::filesystem::path& target)
      : communicator(ranks), file_name(target), parallel(comm::has_parallel_hdf5(ranks)) {}

  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!file) {
      return;
    }
    const auto lock = schema::lock_hdf5();
    redirect_into_nowhere(identity);
    if (parallel) {
      // The caller left without finish(), perhaps on this rank alone: closing is collective and could wait
      // for ever. HDF5 closes what stays open when MPI ends.
      abandoned().push_front(
          {{std::move(layers[0]), std::move(layers[1])}, std::move(known), std::move(*file)});
    } else {
      close_datasets();
      file.reset();
    }
  }

  bool writes() const { return parallel || communicator.rank() == 0; }
  bool is_root() const { return communicator.rank() == 0; }

  // Collective. Work that all writing ranks do together, HDF5's own collectives included.
  template <typename Work>
  void on_writers(Work&& work) {
    comm::agree(communicator, [&] {
      if (writes()) {
        const auto lock = schema::lock_hdf5();
        std::optional<comm::CollectiveAccess> access;
        if (parallel) {
          access.emplace(communicator);
        }
        work();
      }
    });
  }

  // Collective. Runs a public function's body; after an error, known to all ranks, nothing is left behind.
  template <typename Work>
  void guarded(Work&& work) {
    if (unusable) {
      misuse("a dataset writer used after an error or after finish()");
    }
    try {
      work();
    } catch (const base::Error& error) {
      unusable = true;
      if (error.rank() >= 0) {
        throw_away();
      }  // else this rank is alone with it: no more collectives, ~State does what one rank can do
      throw;
    } catch (...) {
      unusable = true;
      throw;
    }
  }

  // Collective.
  void throw_away() {
    if (file) {
      const auto lock = schema::lock_hdf5();
      redirect_into_nowhere(identity);
      close_datasets();
      file.reset();
    }
    temporary.reset();
  }

  void close_datasets() {
    for (auto& layer : layers) {
      for (auto& column : layer.columns) {
        column.dataset.reset();
      }
    }
    known.clear();
  }

  // Collective.
  void open() {
    std::string name;
    comm::agree(communicator, [&] {
      if (is_root()) {
        temporary.emplace(file_name);
        name = temporary->temporary().string();
        // Tried by hand first: HDF5 and MPI-IO do not say why a folder cannot be written.
        const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (descriptor < 0) {
          throw base::OutputError({.what = "cannot write dataset file",
                                   .file = file_name.string(),
                                   .got = std::strerror(errno),
                                   .hint = "check that the folder exists and that you may write there"});
        }
        ::close(descriptor);
        reserve(name, 0);
      }
    });
    name = comm::broadcast_text(communicator, name);
    on_writers([&] {
      const hdf5::Identifier access(
          parallel ? comm::parallel_file_access(communicator) : H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
      // No chunk cache: a write reaches the file at once, and fails there and then if it fails.
      H5Pset_cache(access.get(), 0, 521, 0, 0.75);
      file = hdf5::File::create(name, access.get());
      if (parallel) {
        transfer = hdf5::Identifier(comm::collective_transfer(), H5Pclose);
      }
      identity = identify(name);
    });
  }

  // Collective, without communication of ours: called in on_writers().
  void create_columns(Layer layer) {
    LayerState& state = layers[static_cast<std::size_t>(layer)];
    const hdf5::Layout layout{.chunk = {kChunk}, .deflate = schema::kDeflate, .extendable = true};
    const hdf5::Group group = file->create_group(schema::group_of(layer));
    for (auto& column : state.columns) {
      const std::string path = std::string(schema::group_of(layer)) + "/" + column.column.name;
      column.dataset = column.column.integer ? file->create_dataset<std::uint32_t>(path, {0}, layout)
                                             : file->create_dataset<float>(path, {0}, layout);
    }
  }

  hid_t transfer_list() const { return transfer ? transfer.get() : H5P_DEFAULT; }

  // Collective. Elements `mine` (this rank's; together `all`, in rank order) of a column. The column grows.
  void write_column(ColumnState& column, const Range& all, const Range& mine,
                    std::span<const std::byte> bytes) {
    on_writers([&] { column.dataset->extend({all.last}); });
    // All ranks make as many rounds as the one with most to write.
    const std::uint64_t step = kRoundChunks * kChunk;
    std::vector<std::int64_t> rounds{static_cast<std::int64_t>((mine.size() + step - 1) / step)};
    communicator.all_reduce(std::span<std::int64_t>(rounds), comm::Reduction::maximum);
    for (std::int64_t round = 0; round < rounds[0]; ++round) {
      const auto first = std::min(mine.first + static_cast<std::uint64_t>(round) * step, mine.last);
      const Range part{first, std::min(first + step, mine.last)};
      if (parallel) {
        reserve_on_root(std::min(step * static_cast<std::uint64_t>(communicator.size()), all.size()) *
                        kWidth);
      }
      on_writers([&] {
        const auto raw = bytes.subspan((part.first - mine.first) * kWidth, part.size() * kWidth);
        if (column.column.integer) {
          write_part<std::uint32_t>(*column.dataset, part, raw);
        } else {
          write_part<float>(*column.dataset, part, raw);
        }
      });
    }
    const Checksum piece(bytes);
    for (const auto& other : communicator.all_gather(std::as_bytes(std::span(&piece, 1)))) {
      column.checksum.append(comm::from_bytes<Checksum>(other).at(0));
    }
  }

  // Collective. Room for `bytes` of data, and for what HDF5 needs to keep account of them. Called before each
  // collective write: one that fails on some ranks only, in the midst of MPI-IO, leaves the others hanging
  // (tried with Open MPI 4.1.4).
  void reserve_on_root(std::uint64_t bytes) {
    comm::agree(communicator, [&] {
      if (is_root()) {
        reserve(temporary->temporary(), bytes);
      }
    });
  }

  template <typename T>
  void write_part(hdf5::Dataset& dataset, const Range& part, std::span<const std::byte> raw) {
    std::vector<T> values(part.size());
    if (!raw.empty()) {  // a rank may have nothing to write, and memcpy takes no null pointer
      std::memcpy(values.data(), raw.data(), raw.size());
    }
    dataset.write(hdf5::Shape{part.first}, hdf5::Shape{part.size()}, std::span<const T>(values),
                  transfer_list());
  }

  // Collective. Moves a column's elements so that each whole chunk is on the rank that writes it, writes
  // these, and keeps the rest on rank 0. `pieces[r]` is what rank r holds, rank 0's with what was pending.
  void write_whole_chunks(ColumnState& column, const std::vector<Range>& pieces, Bytes held) {
    const auto size = static_cast<std::uint64_t>(communicator.size());
    const auto rank = static_cast<std::size_t>(communicator.rank());
    const Range all{pieces.front().first, pieces.back().last};
    const std::uint64_t chunks = all.size() / kChunk;
    const Range whole{all.first, all.first + chunks * kChunk};
    const Range rest{whole.last, all.last};
    const auto owned = [&](std::uint64_t owner) {
      if (!parallel) {
        return owner == 0 ? whole : Range{whole.last, whole.last};
      }
      return Range{whole.first + owner * chunks / size * kChunk,
                   whole.first + (owner + 1) * chunks / size * kChunk};
    };
    const auto add = [](Bytes& to, const Bytes& from, const Range& base, const Range& part) {
      const auto first = from.begin() + static_cast<std::ptrdiff_t>((part.first - base.first) * kWidth);
      to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(part.size() * kWidth));
    };
    std::vector<Bytes> to_rank(size);
    for (std::uint64_t other = 0; other < size; ++other) {
      add(to_rank[other], held, pieces[rank], pieces[rank].within(owned(other)));
    }
    add(to_rank[0], held, pieces[rank], pieces[rank].within(rest));
    Bytes().swap(held);
    const auto from = communicator.exchange(std::move(to_rank));
    Bytes mine;
    Bytes left;
    for (std::size_t other = 0; other < from.size(); ++other) {
      const auto share = static_cast<std::ptrdiff_t>(pieces[other].within(owned(rank)).size() * kWidth);
      mine.insert(mine.end(), from[other].begin(), from[other].begin() + share);
      left.insert(left.end(), from[other].begin() + share, from[other].end());
    }
    column.pending = std::move(left);
    if (chunks > 0) {
      write_column(column, whole, owned(rank), mine);
    }
  }

  // Collective.
  void append(Layer layer, const GeneRows& rows) {
    LayerState& state = layers[static_cast<std::size_t>(layer)];
    comm::agree(communicator, [&] { check_rows(layer, rows, state); });
    // Every rank learns where each rank's genes begin and how many entries each has.
    std::vector<std::uint64_t> mine{rows.first_gene};
    for (std::size_t gene = 0; gene + 1 < rows.offsets.size(); ++gene) {
      mine.push_back(rows.offsets[gene + 1] - rows.offsets[gene]);
    }
    const auto parts = communicator.all_gather(std::as_bytes(std::span(mine)));
    std::vector<Range> pieces;
    std::uint64_t next = 0;  // the gene that this rank's must begin with
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      const auto lengths = comm::from_bytes<std::uint64_t>(parts[rank]);
      if (static_cast<int>(rank) == communicator.rank()) {
        next = state.offsets.size() - 1;
      }
      const auto first = state.offsets.back();
      for (std::size_t i = 1; i < lengths.size(); ++i) {
        state.offsets.push_back(state.offsets.back() + lengths[i]);
      }
      pieces.push_back({first, state.offsets.back()});
    }
    comm::agree(communicator, [&] {
      if (mine.size() > 1 && rows.first_gene != next) {
        misuse("genes handed over out of order", "gene " + std::to_string(next),
               std::to_string(rows.first_gene));
      }
    });
    pieces.front().first = state.written;  // rank 0 also holds what was pending
    create_when_first(layer);
    const void* columns[] = {rows.cell.data(), rows.value.data(), rows.count.data()};
    for (std::size_t i = 0; i < state.columns.size(); ++i) {
      Bytes held = std::move(state.columns[i].pending);
      const auto* raw = static_cast<const std::byte*>(columns[i]);
      held.insert(held.end(), raw, raw + rows.cell.size() * kWidth);
      write_whole_chunks(state.columns[i], pieces, std::move(held));
    }
    state.written += (state.offsets.back() - state.written) / kChunk * kChunk;
  }

  // Collective.
  void create_when_first(Layer layer) {
    LayerState& state = layers[static_cast<std::size_t>(layer)];
    if (state.columns.empty()) {
      for (const auto& column : schema::columns_of(layer)) {
        state.columns.push_back({column, std::nullopt, {}, {}});
      }
      on_writers([&] { create_columns(layer); });
    }
  }

  // Collective. A dataset that rank 0 knows in full; entered into `checksums`.
  template <typename T>
  void write_known(const std::string& path, const std::vector<T>& values, base::Json& checksums) {
    checksums[path] = checksum_of(std::span(values)).text();
    reserve_on_root(values.size() * sizeof(T));
    on_writers([&] {
      hdf5::Dataset& dataset =
          known.emplace_back(file->create_dataset<T>(path, {values.size()}, small_layout()));
      const std::uint64_t count = is_root() ? values.size() : 0;
      if (!values.empty()) {
        dataset.write(hdf5::Shape{0}, hdf5::Shape{count}, std::span(values).first(count), transfer_list());
      }
    });
  }
  void write_known(const std::string& path, const std::vector<std::string>& texts, base::Json& checksums) {
    std::size_t width = 1;
    for (const auto& text : texts) {
      width = std::max(width, text.size());
    }
    checksums[path] = checksum_of(std::span<const char>(schema::padded(texts, width))).text();
    reserve_on_root(texts.size() * width);
    on_writers([&] {
      hdf5::Dataset& dataset =
          known.emplace_back(file->create_strings(path, {texts.size()}, width, small_layout()));
      const std::uint64_t count = is_root() ? texts.size() : 0;
      if (!texts.empty()) {
        dataset.write_strings(hdf5::Shape{0}, hdf5::Shape{count}, std::span(texts).first(count),
                              transfer_list());
      }
    });
  }
  static hdf5::Layout small_layout() { return {.chunk = {kChunk}, .deflate = schema::kDeflate}; }

  // Collective.
  void finish(const DatasetHeader& header) {
    LayerState& rna = layers[static_cast<std::size_t>(Layer::rna)];
    LayerState& rp = layers[static_cast<std::size_t>(Layer::rp)];
    comm::agree(communicator,
                [&] { check_header(header, rna, rp, std::max(rna.cell_limit, rp.cell_limit)); });
    const std::string mine = digest(header);
    const std::string first = comm::broadcast_text(communicator, mine);
    comm::agree(communicator, [&] {
      if (mine != first) {
        misuse("the dataset header differs from rank 0's");
      }
    });
    base::Json checksums = base::Json::object();
    for (const Layer layer : schema::layers_of(header.has_atac)) {
      create_when_first(layer);
      LayerState& state = layers[static_cast<std::size_t>(layer)];
      const Range rest{state.written, state.offsets.back()};
      for (auto& column : state.columns) {
        if (rest.size() > 0) {
          const Range share = is_root() ? rest : Range{rest.last, rest.last};
          write_column(column, rest, share, column.pending);
        }
        checksums[std::string(schema::group_of(layer)) + "/" + column.column.name] = column.checksum.text();
      }
      write_known(std::string(schema::group_of(layer)) + "/offsets", state.offsets, checksums);
    }
    write_known("genes", header.genes, checksums);
    write_known("barcodes", header.barcodes, checksums);
    write_known("variance", header.variance, checksums);
    write_known("vst", header.vst, checksums);
    write_known("rna/background", header.rna_background, checksums);
    if (header.has_atac) {
      write_known("rp/background", header.rp_background, checksums);
    }
    write_known("settings", std::vector{header.settings}, checksums);
    write_known("sources", std::vector{header.sources}, checksums);
    write_known("quality", std::vector{header.quality}, checksums);
    checksums["attributes"] = checksum_of(std::span<const char>(schema::attributes_text(
                                              kFormatMajor, kFormatMinor, header.id, header.genes.size(),
                                              header.barcodes.size(), header.has_atac)))
                                  .text();
    on_writers([&] {
      file->write_string_attribute("format", schema::kFormat);
      file->write_attribute("format_version_major", std::int32_t{kFormatMajor});
      file->write_attribute("format_version_minor", std::int32_t{kFormatMinor});
      file->write_string_attribute("id", header.id);
      file->write_attribute("genes", std::uint64_t{header.genes.size()});
      file->write_attribute("cells", std::uint64_t{header.barcodes.size()});
      file->write_attribute("has_atac", static_cast<std::uint8_t>(header.has_atac ? 1 : 0));
      file->write_string_attribute("checksums", base::json_line(checksums));
    });
    reserve_on_root(0);
    on_writers([&] { flush(*file); });
    on_writers([&] {
      close_datasets();
      file->close();
    });
    file.reset();
    comm::agree(communicator, [&] {
      if (is_root()) {
        release(temporary->temporary());
        temporary->commit();
      }
    });
    temporary.reset();
    unusable = true;
  }

  comm::Communicator& communicator;
  std::filesystem::path file_name;
  bool parallel;
  bool unusable = false;
  std::optional<base::AtomicFile> temporary;  // rank 0: removes the file unless committed
  hdf5::Identifier transfer;
  std::optional<hdf5::File> file;  // on ranks that write
  FileIdentity identity;           // of it
  // Datasets stay open until all is flushed: closing one may write, and its failure would go unnoticed.
  std::vector<hdf5::Dataset> known;
  LayerState layers[2];
};

DatasetWriter::DatasetWriter(comm::Communicator& communicator, const std::filesystem::path& file)
    : state_(std::make_unique<State>(communicator, file)) {
  state_->guarded([&] { state_->open(); });
}
DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::append(Layer layer, const GeneRows& rows) {
  state_->guarded([&] { state_->append(layer, rows); });
}
void DatasetWriter::finish(const DatasetHeader& header) {
  state_->guarded([&] { state_->finish(header); });
}

}  // namespace mgrn::store
