// SPDX-License-Identifier: Apache-2.0
// What CNNC and STGRNS are told beyond train's keys.
#pragma once

namespace mgrn::baselines {

/// A gene's number per cell, in the units that a method was made for; docs/baselines.md says what each is.
enum class Values {
  automatic,   ///< the method's own units where the source holds counts (prepare.rna = lognorm...), else
               ///< source
  source,      ///< the source's values as they are
  normalised,  ///< counts to 10,000 per cell
  lognorm,     ///< log(1 + normalised)
};

enum class ImageScale {
  log,     ///< (log10(share of cells + 1e-4) + 4) / 4, 0 for an empty bin
  counts,  ///< cells in the bin, as STGRNS's own "CNNC input" script leaves them (cnnc_raw)
};

struct NeuralOptions {
  Values values = Values::automatic;   ///< CNNC's own: normalised, STGRNS's: lognorm
  ImageScale image = ImageScale::log;  ///< CNNC
  int window = 100;                    ///< STGRNS: cells of a window, g
};

}  // namespace mgrn::baselines
