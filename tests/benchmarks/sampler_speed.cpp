// SPDX-License-Identifier: Apache-2.0
// Nanoseconds per sample of N = 500: drawing the cells, and gathering the sample. Genes' values are as dense
// as in 10x multiome data (RP 60 %); `share` is the share of cells, in per cent, in which a gene is
// expressed. sampler_speed [Google Benchmark's options]
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/pairs/sampler.hpp"

namespace {

using namespace mgrn;
using namespace mgrn::pairs;

// Enough columns that a large dataset's do not fit into any cache: 10^6 cells take 1.6 MB a gene.
constexpr std::uint32_t kGenes = 200;
constexpr int kSampleCells = 500;

SamplerGene make_gene(std::uint32_t index, std::uint32_t cells, double expressed, double accessible) {
  base::PhiloxStream random(index, 99);
  SamplerGene gene;
  gene.index = index;
  gene.symbol = "Gene" + std::to_string(index);
  gene.rp_background = -0.5f;
  for (std::uint32_t cell = 0; cell < cells; ++cell) {
    const std::uint32_t draw = random.next_u32();
    const float value = static_cast<float>(draw % 8192) / 1024.0f - 3.0f;
    if (static_cast<double>(draw >> 16) < expressed * 65536) {
      gene.rna.cell.push_back(cell);
      gene.rna.value.push_back(value);
      gene.rna.count.push_back(1.0f);
    }
    if (static_cast<double>(draw & 0xFFFF) < accessible * 65536) {
      gene.rp.cell.push_back(cell);
      gene.rp.value.push_back(value);
    }
  }
  return gene;
}

const Sampler& sampler_of(std::uint32_t cells, int share, Resample resample) {
  static std::map<std::pair<std::uint32_t, int>, std::unique_ptr<Sampler>> made;
  auto& sampler = made[{cells, share * 2 + (resample == Resample::once ? 1 : 0)}];
  if (!sampler) {
    made.clear();  // one at a time: each may take a gigabyte
    std::vector<SamplerGene> genes;
    for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
      genes.push_back(make_gene(gene, cells, share / 100.0, 0.6));
    }
    auto fresh = std::make_unique<Sampler>("benchmark", cells, genes,
                                           SamplerOptions{.cells = kSampleCells, .resample = resample});
    auto& kept = made[{cells, share * 2 + (resample == Resample::once ? 1 : 0)}];
    kept = std::move(fresh);
    return *kept;
  }
  return *sampler;
}

SampleName name_of(std::uint32_t i) {
  base::NameHash hash;
  const std::uint64_t draw = hash.add(i).value();
  return {.tf = static_cast<std::uint32_t>(draw % kGenes),
          .gene = static_cast<std::uint32_t>((draw >> 32) % kGenes),
          .epoch = i};
}

void draw(benchmark::State& state) {
  const Sampler& sampler = sampler_of(static_cast<std::uint32_t>(state.range(0)),
                                      static_cast<int>(state.range(1)), Resample::epoch);
  std::vector<std::uint32_t> cells(kSampleCells);
  std::uint32_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.draw(name_of(i++), cells));
  }
}

void draw_and_gather(benchmark::State& state, Resample resample) {
  const Sampler& sampler =
      sampler_of(static_cast<std::uint32_t>(state.range(0)), static_cast<int>(state.range(1)), resample);
  std::vector<float> sample(kSampleCells * 4);
  std::uint32_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.gather(name_of(i++), sample));
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& [cells, share] :
       {std::pair{10000, 5}, {10000, 30}, {10000, 71}, {1000000, 5}, {1000000, 30}}) {
    benchmark->Args({cells, share});
  }
  benchmark->ArgNames({"cells", "share"});
}

// As training does: the samples of a micro-batch together. The time is that of one sample.
void gather_batch(benchmark::State& state) {
  constexpr std::size_t kBatch = 16;
  const Sampler& sampler = sampler_of(static_cast<std::uint32_t>(state.range(0)),
                                      static_cast<int>(state.range(1)), Resample::epoch);
  std::vector<float> samples(kBatch * kSampleCells * 4);
  std::vector<SampleRequest> requests(kBatch);
  std::uint32_t i = 0;
  while (state.KeepRunningBatch(kBatch)) {
    for (SampleRequest& request : requests) {
      request = {.sampler = &sampler, .name = name_of(i++)};
    }
    benchmark::DoNotOptimize(gather_samples(requests, samples));
  }
}

BENCHMARK(gather_batch)->Apply(sizes);
BENCHMARK(draw)->Apply(sizes);
BENCHMARK_CAPTURE(draw_and_gather, epoch, Resample::epoch)->Apply(sizes);
BENCHMARK_CAPTURE(draw_and_gather, once, Resample::once)->Args({10000, 71})->ArgNames({"cells", "share"});

}  // namespace

BENCHMARK_MAIN();
