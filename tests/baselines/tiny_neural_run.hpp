// SPDX-License-Identifier: Apache-2.0
// Settings of a run of CNNC or STGRNS on the tiny inputs of the training loop's tests.
#pragma once

#include <filesystem>
#include <limits>
#include <string>

#include "multigrnformer/baselines/cnnc.hpp"
#include "multigrnformer/baselines/stgrns.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::baselines::test {

/// Two epochs of a few steps, by the method's recipe but for the sizes.
inline train::Settings tiny_neural_settings(const std::string& method, const std::filesystem::path& inputs,
                                            const std::filesystem::path& out) {
  train::Settings settings = train::test::tiny_settings(inputs, out);
  const std::set<std::string> given = {"train.epochs", "train.batch", "train.micro_batch"};
  settings.epochs = 2;
  settings.batch = 32;
  settings.micro_batch = 8;
  settings.checkpoint_every = 1000;  // where it stops and at the end
  if (method == "cnnc") {
    settings.method = make_cnnc({});
    set_cnnc_recipe(settings, given);
  } else {
    settings.method = make_stgrns({.window = 10});
    set_stgrns_recipe(settings, given);
  }
  settings.config_text = "method = " + method + "\n\n[pairs]\nseed = 1\n\n[train]\nepochs = 2\nseed = 1\n";
  return settings;
}

}  // namespace mgrn::baselines::test
