// SPDX-License-Identifier: Apache-2.0
// Runs gnuplot, where there is one.
#pragma once

#include <filesystem>

namespace mgrn::experiments {

/// Whether `gnuplot` with its PDF terminal can be started. Not collective.
bool gnuplot_is_here();

/// Draws `script` into `pdf`, atomically and without a date, so that the same script and gnuplot give the
/// same bytes. Throws OutputError with gnuplot's own words.
void draw_with_gnuplot(const std::filesystem::path& script, const std::filesystem::path& pdf);

}  // namespace mgrn::experiments
