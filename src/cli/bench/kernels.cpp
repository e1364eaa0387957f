// SPDX-License-Identifier: Apache-2.0
// Stages that are one kernel or one call: attention, Adam, the all-reduce of a gradient.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bench.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/model/attention.hpp"
#include "multigrnformer/train/adam.hpp"

namespace mgrn::cli {
namespace {

/// Normal values whose queries and keys reach from -sqrt(range) to sqrt(range).
struct AttentionData {
  std::vector<float> queries, keys, values, gradient;
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

}  // namespace

BenchCases attention_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  // The paper's model has heads of one column; they are what the linear way is for.
  const int heads = config.train.shape.width;
  for (const int cells : config.bench.cells) {
    for (const double range : config.bench.ranges) {
      auto data = std::make_shared<AttentionData>(cells, heads, range);
      for (const std::string& engine : config.bench.engines) {
        if (engine == "reference") {
          continue;  // its attention is no kernel of its own
        }
        std::shared_ptr<model::Attention> attention;
        comm::agree(world, [&] {
          attention = std::make_shared<model::Attention>(
              cells, heads, model::EngineOptions{.kind = engine, .isa = config.train.engine.isa});
          attention->forward(data->queries, data->keys, data->values);
        });
        const auto add = [&](const char* measure, std::function<void()> work) {
          base::Json facts = bench_facts(config, world, "attention", measure, attention->name(), cells);
          facts["heads"] = heads;
          facts["range"] = range;
          facts["panels"] = attention->path(0).panels;
          facts["terms"] = attention->path(0).terms;
          facts["threads"] = 1;
          facts["batch"] = 1;
          cases.push_back({.facts = std::move(facts),
                           .unit = "ns per sample and layer",
                           .round = [&world, work = std::move(work)](double seconds) {
                             return seconds_per_call(world, seconds, work) * 1e9;
                           }});
        };
        const auto forward = [attention, data] {
          attention->forward(data->queries, data->keys, data->values);
        };
        const auto backward = [attention, data] { attention->backward(data->gradient); };
        add("forward", forward);
        add("backward", backward);
        add("both", [forward, backward] {
          forward();
          backward();
        });
      }
    }
  }
  return cases;
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
