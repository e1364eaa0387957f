// SPDX-License-Identifier: Apache-2.0
// Where samples come from: the seam between the training loop and what a network looks at (cells drawn at
// random, an image of all cells, windows of cells). Whatever the kind, a sample is a pure function of its
// name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mgrn::pairs {

enum class Purpose : std::uint8_t { train, validation, test, predict };

/// The name of a sample. `variant` is the augmentation index in training, the vote in a test.
struct SampleName {
  std::uint32_t tf = 0;  ///< dataset gene index; the symbol is what enters the hash
  std::uint32_t gene = 0;
  Purpose purpose = Purpose::train;
  std::uint32_t epoch = 0;
  std::uint32_t variant = 0;
};

struct SampleRequest;

/// Samples of the pairs of one dataset. Immutable: any number of threads may call. Asking for a gene that was
/// not loaded throws InternalError.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  SampleSource() = default;
  SampleSource(const SampleSource&) = delete;
  SampleSource& operator=(const SampleSource&) = delete;

  /// Floats of one sample, the same for every pair.
  virtual std::size_t sample_size() const = 0;
  /// Whether the pair has samples at all.
  virtual bool has_sample(std::uint32_t tf, std::uint32_t gene) const = 0;
  /// Whether a cell expresses both genes. Sources that draw from other cells may have a sample all the same.
  virtual bool shares_cells(std::uint32_t tf, std::uint32_t gene) const { return has_sample(tf, gene); }
  /// The sample. `out` has sample_size() elements. False, `out` untouched, when there is none.
  virtual bool gather(const SampleName& name, std::span<float> out) const = 0;

 protected:
  friend std::size_t gather_samples(std::span<const SampleRequest> requests, std::span<float> out);
  /// gather_samples() for requests of sources of this kind; one after another unless overridden.
  virtual std::size_t gather_all(std::span<const SampleRequest> requests, std::span<float> out) const;
};

struct SampleRequest {
  const SampleSource* sampler = nullptr;
  SampleName name;
};

/// Gathers several samples, the i-th to the i-th part of `out`, as SampleSource::gather does one by one. The
/// sources are of one kind and sample size. Returns how many there are before the first pair without a
/// sample, all of them where there is none; the rest is unspecified.
std::size_t gather_samples(std::span<const SampleRequest> requests, std::span<float> out);

}  // namespace mgrn::pairs
