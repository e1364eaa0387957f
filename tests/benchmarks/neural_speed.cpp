// SPDX-License-Identifier: Apache-2.0
// Samples per second of CNNC's and STGRNS's inputs and of whole training steps (inputs, gradients, exact sum,
// optimiser) by their recipes, on one thread; a figure for people, not a test. Data as in
// neural_baselines_peer.py. Usage: neural_speed cnnc|stgrns SECONDS. Prints lines of JSON.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/baselines/cnnc.hpp"
#include "multigrnformer/baselines/expression_windows.hpp"
#include "multigrnformer/baselines/nepdf_images.hpp"
#include "multigrnformer/baselines/stgrns.hpp"
#include "multigrnformer/train/optimizer.hpp"
#include "multigrnformer/train/reduction.hpp"

namespace {

using namespace mgrn;

constexpr std::uint32_t kCells = 3000, kGenes = 300, kTfs = 50;
constexpr double kExpressed = 0.1;

void draw_gene(std::uint32_t gene, std::span<double> values) {
  base::PhiloxStream random(1, gene);
  for (double& value : values) {
    value = random.uniform() < kExpressed ? std::exp(1.0 + random.normal()) : 0.0;
  }
}

/// Calls `work`, which says how many samples it did, until the seconds are over; samples per second.
double rate(double seconds, const std::function<std::size_t()>& work) {
  using Clock = std::chrono::steady_clock;
  work();
  std::size_t samples = 0;
  const auto start = Clock::now();
  double spent = 0;
  while (spent < seconds) {
    samples += work();
    spent = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return static_cast<double>(samples) / spent;
}

void measure(const std::string& method, double seconds) {
  const bool cnnc = method == "cnnc";
  train::Settings settings;
  settings.method = cnnc ? baselines::make_cnnc({}) : baselines::make_stgrns({});
  cnnc ? baselines::set_cnnc_recipe(settings, {}) : baselines::set_stgrns_recipe(settings, {});
  std::vector<std::uint32_t> genes(kGenes);
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    genes[gene] = gene;
  }
  const auto self = comm::make_self_communicator();
  std::unique_ptr<pairs::SampleSource> source;
  if (cnnc) {
    source =
        std::make_unique<baselines::NepdfImages>(kCells, genes, draw_gene, baselines::ImageScale::log, *self);
  } else {
    source = std::make_unique<baselines::ExpressionWindows>(kCells, genes, draw_gene, 100, *self);
  }
  const auto micro = static_cast<std::size_t>(settings.micro_batch);
  std::vector<float> inputs(micro * source->sample_size()), labels(micro), weights(micro, 1.0f);
  std::vector<std::uint64_t> names(micro);
  std::uint32_t next = 0;
  const auto gather = [&] {
    for (std::size_t i = 0; i < micro; ++i, ++next) {
      names[i] = next;
      labels[i] = static_cast<float>(next % 2);
      source->gather({.tf = next % kTfs, .gene = kTfs + next * 7 % (kGenes - kTfs)},
                     std::span(inputs).subspan(i * source->sample_size(), source->sample_size()));
    }
    return micro;
  };
  std::printf("{\"stage\":\"neural\",\"method\":\"%s\",\"measure\":\"inputs\",\"median\":%.6g}\n",
              method.c_str(), rate(seconds / 4, gather));
  model::Parameters parameters = settings.method->parameters(settings);
  settings.method->initialise(parameters, 1);
  const auto engine = settings.method->engine(settings, 0);
  const auto sum = train::make_exact_sum(parameters.values().size());
  std::vector<float> gradient(parameters.values().size()), first(gradient.size()), second(gradient.size());
  const auto optimizer = train::make_optimizer(parameters, settings, first, second);
  const auto step = [&] {
    sum->start(train::kScales[0]);
    std::size_t samples = 0;
    while (samples < static_cast<std::size_t>(settings.batch)) {
      samples += gather();
      const auto done = engine->accumulate(parameters,
                                           {.samples = settings.micro_batch,
                                            .inputs = inputs,
                                            .labels = labels,
                                            .weights = weights,
                                            .names = names},
                                           *sum->direct());
      sum->note({.loss = done.loss, .live_hidden = done.live_hidden});
    }
    engine->finish(*sum->direct());
    sum->reduce(*self, static_cast<double>(samples), gradient);
    optimizer->step(parameters, gradient, 1);
    return samples;
  };
  std::printf("{\"stage\":\"neural\",\"method\":\"%s\",\"measure\":\"step\",\"median\":%.6g}\n",
              method.c_str(), rate(seconds, step));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || (std::string(argv[1]) != "cnnc" && std::string(argv[1]) != "stgrns")) {
    std::fprintf(stderr, "usage: neural_speed cnnc|stgrns SECONDS\n");
    return 64;
  }
  measure(argv[1], std::atof(argv[2]));
  return 0;
}
