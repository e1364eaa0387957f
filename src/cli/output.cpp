// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/output.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::cli {
namespace {

// A metric is a number, or, over several runs, an object with mean and sd.
std::string figure(const base::Json& result, const char* key) {
  const auto place = result.find(key);
  if (place == result.end() || place->is_null()) {
    return "-";
  }
  if (place->is_number()) {
    return fmt::format("{:.4f}", place->get<double>());
  }
  if (!place->is_object() || !place->contains("mean") || (*place)["mean"].is_null()) {
    return "-";
  }
  const std::string mean = fmt::format("{:.4f}", (*place)["mean"].get<double>());
  return (*place)["sd"].is_null() ? mean : mean + fmt::format(" ± {:.4f}", (*place)["sd"].get<double>());
}

}  // namespace

void print_result(comm::Communicator& world, const std::string& text) {
  comm::agree(world, [&] {
    if (world.rank() != 0) {
      return;
    }
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
      throw base::OutputError({.what = "cannot write to standard output", .got = std::strerror(errno)});
    }
  });
}

std::string metrics_table(const base::Json& result, const std::string& method) {
  if (!result.contains("auroc")) {
    return {};
  }
  std::string text =
      fmt::format("{:<22} {:>17} {:>17} {:>17}\n", "test pairs", method, "degree only", "random");
  const auto row = [&](const char* name, const char* model, const char* degree, const char* random) {
    text += fmt::format("{:<22} {:>17} {:>17} {:>17}\n", name, figure(result, model),
                        *degree != '\0' ? figure(result, degree) : "", figure(result, random));
  };
  row("AUROC", "auroc", "degree_auroc", "random_auroc");
  row("average precision", "average_precision", "degree_average_precision", "random_auprc");
  row("AUROC within TFs", "within_tf_auroc", "degree_within_tf_auroc", "random_auroc");
  return text;
}

}  // namespace mgrn::cli
