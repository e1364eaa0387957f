// SPDX-License-Identifier: Apache-2.0
// Stages that are one kernel or one call: attention, Adam, the all-reduce of a gradient.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "heads.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/model/attention.hpp"
#include "multigrnformer/train/adam.hpp"
#include "setup.hpp"

namespace mgrn::cli {
namespace {

/// The heads of one layer and sample, [heads][cells] each.
struct AttentionData {
  std::vector<float> queries, keys, values, gradient;

  AttentionData() = default;
  /// Normal values whose queries and keys reach from -sqrt(range) to sqrt(range).
  AttentionData(int cells, int heads, double range) {
    base::PhiloxStream random(7, static_cast<std::uint64_t>(cells));
    const auto fill = [&](std::vector<float>& rows, double half) {
      for (int head = 0; head < heads; ++head) {
        std::vector<double> row(static_cast<std::size_t>(cells));
        for (double& value : row) {
          value = random.normal();
        }
        const auto [low, high] = std::minmax_element(row.begin(), row.end());
        const double middle = (*low + *high) / 2;
        const double spread = half > 0 && *high > *low ? (*high - *low) / 2 / half : 1.0;
        for (const double value : row) {
          rows.push_back(static_cast<float>((value - middle) / spread));
        }
      }
    };
    fill(queries, std::sqrt(range));
    fill(keys, std::sqrt(range));
    fill(values, 0);
    fill(gradient, 0);
  }
};

/// One layer's attention of several samples, each with an object of its own, as samples of a micro-batch
/// have their own place in an engine.
struct LayerAttention {
  std::vector<AttentionData> samples;
  std::vector<std::unique_ptr<model::Attention>> attentions;

  LayerAttention(std::vector<AttentionData> data, int cells, int heads, const model::EngineOptions& options)
      : samples(std::move(data)) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      attentions.push_back(std::make_unique<model::Attention>(cells, heads, options));
      forward(i);
    }
  }
  void forward(std::size_t i) {
    attentions[i]->forward(samples[i].queries, samples[i].keys, samples[i].values);
  }
  void backward(std::size_t i) { attentions[i]->backward(samples[i].gradient); }
};

/// Three cases, forward, backward and both; `facts` say what is special about the layer.
void add_layer_cases(const Config& config, comm::Communicator& world,
                     const std::shared_ptr<LayerAttention>& layer, int cells, const base::Json& facts,
                     BenchCases& cases) {
  const auto add = [&](const char* measure, std::function<void(std::size_t)> work) {
    base::Json line =
        bench_facts(config, world, "attention", measure, layer->attentions.front()->name(), cells);
    line["threads"] = 1;
    line["batch"] = 1;
    line.update(facts);
    cases.push_back({.facts = std::move(line),
                     .unit = "ns per sample and layer",
                     .round = [&world, layer, work = std::move(work)](double seconds) {
                       const double call = seconds_per_call(world, seconds, [&] {
                         for (std::size_t i = 0; i < layer->samples.size(); ++i) {
                           work(i);
                         }
                       });
                       return call / static_cast<double>(layer->samples.size()) * 1e9;
                     }});
  };
  add("forward", [layer](std::size_t i) { layer->forward(i); });
  add("backward", [layer](std::size_t i) { layer->backward(i); });
  add("both", [layer](std::size_t i) {
    layer->forward(i);
    layer->backward(i);
  });
}

BenchCases drawn_attention_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  // The paper's model has heads of one column; they are what the linear way is for.
  const int heads = config.train.shape.width;
  for (const int cells : config.bench.cells) {
    for (const double range : config.bench.ranges) {
      for (const std::string& engine : config.bench.engines) {
        if (engine == "reference") {
          continue;  // its attention is no kernel of its own
        }
        std::shared_ptr<LayerAttention> layer;
        comm::agree(world, [&] {
          layer = std::make_shared<LayerAttention>(
              std::vector{AttentionData(cells, heads, range)}, cells, heads,
              model::EngineOptions{.kind = engine, .isa = config.train.engine.isa});
        });
        const model::AttentionPath path = layer->attentions.front()->path(0);
        add_layer_cases(config, world, layer, cells,
                        {{"heads", heads}, {"range", range}, {"panels", path.panels}, {"terms", path.terms}},
                        cases);
      }
    }
  }
  return cases;
}

/// Of real heads so many samples are timed: more than a micro-batch, so that none stays in the cache.
constexpr int kSamplesTimed = 64;

/// A run's own heads: queries, keys and values that its weights make of its samples, layer by layer.
BenchCases run_attention_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  for (auto& setup : setups(config, config.bench.engines, world)) {
    const model::Shape& shape = setup->settings.shape;
    const auto layers = static_cast<std::size_t>(shape.layers);
    std::vector<std::vector<AttentionData>> data(layers);
    std::vector<std::vector<model::AttentionPath>> paths(layers);
    comm::agree(world, [&] {
      visit_heads(*setup, kSamplesSeen, [&](const model::HeadView& head) {
        const auto layer = static_cast<std::size_t>(head.layer);
        paths[layer].push_back(head.path);
        if (head.sample >= kSamplesTimed) {
          return;
        }
        if (head.head == 0) {
          data[layer].emplace_back();
          data[layer].back().gradient =
              AttentionData(shape.cells, shape.heads, 1).gradient;  // no time depends on it
        }
        AttentionData& sample = data[layer].back();
        sample.queries.insert(sample.queries.end(), head.queries.begin(), head.queries.end());
        sample.keys.insert(sample.keys.end(), head.keys.begin(), head.keys.end());
        sample.values.insert(sample.values.end(), head.values.begin(), head.values.end());
      });
    });
    for (std::size_t number = 0; number < layers; ++number) {
      if (data[number].empty()) {
        continue;  // its attention is no kernel of its own
      }
      std::shared_ptr<LayerAttention> layer;
      comm::agree(world, [&] {
        layer = std::make_shared<LayerAttention>(std::move(data[number]), shape.cells, shape.heads,
                                                 setup->settings.engine);
      });
      add_layer_cases(config, world, layer, shape.cells,
                      {{"heads", shape.heads}, {"layer", number}, {"paths", path_facts(paths[number])}},
                      cases);
    }
  }
  if (cases.empty()) {
    base::warn("bench: attention: none of these engines chooses a way for the heads of this run");
  }
  return cases;
}

}  // namespace

BenchCases attention_cases(const Config& config, comm::Communicator& world) {
  return config.bench.run.empty() ? drawn_attention_cases(config, world) : run_attention_cases(config, world);
}

BenchCases adam_cases(const Config& config, comm::Communicator& world) {
  struct State {
    model::Parameters parameters;
    train::Adam adam;
    std::vector<float> gradient;
    State(const model::Shape& shape, const train::AdamOptions& options)
        : parameters(shape), adam(parameters, options), gradient(parameters.values().size()) {}
  };
  BenchCases cases;
  for (const int cells : config.bench.cells) {
    std::shared_ptr<State> state;
    comm::agree(world, [&] {
      model::Shape shape = config.train.shape;
      shape.cells = cells;
      model::validate(shape);
      state = std::make_shared<State>(shape, config.train.adam);
      model::initialise(state->parameters, 1);
      base::PhiloxStream random(3, 0);
      for (float& value : state->gradient) {
        value = static_cast<float>(1e-3 * random.normal());
      }
    });
    const auto parameters = static_cast<double>(state->gradient.size());
    base::Json facts = bench_facts(config, world, "adam", "step", nullptr, cells);
    facts["parameters"] = state->gradient.size();
    facts["threads"] = 1;
    cases.push_back({.facts = std::move(facts),
                     .unit = "ns per parameter",
                     .round = [&world, state, parameters](double seconds) {
                       return seconds_per_call(
                                  world, seconds,
                                  [&] { state->adam.step(state->parameters, state->gradient); }) *
                              1e9 / parameters;
                     }});
  }
  return cases;
}

BenchCases allreduce_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  for (const int cells : config.bench.cells) {
    std::shared_ptr<std::vector<std::int64_t>> buffer;
    comm::agree(world, [&] {
      model::Shape shape = config.train.shape;
      shape.cells = cells;
      model::validate(shape);
      buffer = std::make_shared<std::vector<std::int64_t>>(model::Parameters(shape).values().size(), 1);
    });
    base::Json facts = bench_facts(config, world, "allreduce", "int64 sum", nullptr, cells);
    facts["parameters"] = buffer->size();
    facts["threads"] = 1;
    cases.push_back(
        {.facts = std::move(facts), .unit = "us per gradient", .round = [&world, buffer](double seconds) {
           // Sums wrap modulo 2^64: repeated ones need no new values.
           return seconds_per_call(world, seconds, [&] { world.all_reduce(*buffer, comm::Reduction::sum); }) *
                  1e6;
         }});
  }
  return cases;
}

}  // namespace mgrn::cli
