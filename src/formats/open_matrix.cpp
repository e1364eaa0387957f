// SPDX-License-Identifier: Apache-2.0
// Tells the containers apart by what is in them.
#include <algorithm>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "sources.hpp"

namespace mgrn::formats {
namespace {

std::unique_ptr<MatrixSource> open_hdf5(const std::filesystem::path& path, const MatrixOptions& options) {
  hdf5::File file = hdf5::File::open(path);
  if (file.has_group("mod")) {
    return open_mudata(std::move(file), options);
  }
  if (file.has("obs") && file.has("var")) {
    return open_anndata(std::move(file), options);
  }
  if (!options.layer.empty()) {
    throw base::DataError({.what = "file has no layers",
                           .file = path.string(),
                           .expected = ".h5ad or .h5mu",
                           .got = "a 10x file",
                           .hint = "leave the layer out"});
  }
  if (file.has_group("matrix")) {
    return open_tenx_v3(std::move(file));
  }
  std::vector<std::string> genomes;
  const std::vector<std::string> members = file.members();
  std::copy_if(members.begin(), members.end(), std::back_inserter(genomes), [&file](const std::string& name) {
    return file.has(name + "/indptr") && file.has(name + "/barcodes");
  });
  if (!genomes.empty()) {
    return open_tenx_v2(std::move(file), genomes);
  }
  std::string all;
  for (const std::string& name : members) {
    all += (all.empty() ? "" : ", ") + name;
  }
  throw base::DataError({.what = "HDF5 file of a kind that is not known",
                         .file = path.string(),
                         .expected = "10x ('/matrix'), .h5ad ('/obs', '/var', '/X') or .h5mu ('/mod')",
                         .got = all.empty() ? "an empty file" : "the groups " + all,
                         .hint = "give the filtered_feature_bc_matrix.h5, .h5ad or .h5mu"});
}

}  // namespace

std::unique_ptr<MatrixSource> open_matrix(const std::filesystem::path& file, const MatrixOptions& options) {
  std::error_code code;
  if (!std::filesystem::exists(file, code)) {
    throw base::DataError({.what = "matrix does not exist", .file = file.string(), .hint = "check the path"});
  }
  if (std::filesystem::is_directory(file, code)) {
    return open_tenx_folder(file);
  }
  if (std::filesystem::file_size(file, code) == 0 && !code) {
    throw base::DataError({.what = "matrix file is empty",
                           .file = file.string(),
                           .expected = "a matrix",
                           .got = "0 bytes",
                           .hint = "copy the file again from its source"});
  }
  if (hdf5::File::recognises(file)) {
    return open_hdf5(file, options);
  }
  std::string extension = file.extension().string();
  if (extension == ".h5" || extension == ".h5ad" || extension == ".h5mu" || extension == ".hdf5") {
    hdf5::File::open(file);  // throws: says what such a file lacks
  }
  {
    LineReader reader(file);
    std::string_view line;
    if (reader.next(line) && line.starts_with("%%MatrixMarket")) {
      const auto folder = file.parent_path();
      return open_tenx_folder(folder.empty() ? "." : folder, file);
    }
  }
  return open_text_matrix(file, options);
}

}  // namespace mgrn::formats
