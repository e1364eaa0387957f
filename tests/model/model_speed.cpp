// SPDX-License-Identifier: Apache-2.0
// Samples per second of one thread's training step: model_speed [cells] [seconds] [engine, such as
// linear/avx2].
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "model/samples.hpp"

int main(int argc, char** argv) {
  using namespace mgrn::model;
  Shape shape;
  if (argc > 1) shape.cells = std::atoi(argv[1]);
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2.0;
  const test::Samples samples = test::make_samples(shape, 16, 1);
  const Parameters parameters = test::make_parameters(shape, 1);
  std::vector<float> gradient(parameters.values().size());
  const EngineOptions options[] = {{"linear", "auto", 0},        {"linear", "avx512", 0},
                                   {"linear", "baseline", 0},    {"linear", "auto", 0.1},
                                   {"quadratic", "auto", 0},     {"quadratic", "avx512", 0},
                                   {"quadratic", "baseline", 0}, {"reference", "auto", 0}};
  for (const EngineOptions& option : options) {
    if (argc > 3 && option.kind + "/" + option.isa != argv[3]) continue;
    try {
      const auto engine = make_engine(shape, 16, option);
      engine->gradient(parameters, samples.batch(), gradient);
      const auto start = std::chrono::steady_clock::now();
      const std::clock_t busy = std::clock();
      double elapsed = 0;
      int steps = 0;
      while (elapsed < seconds) {
        engine->gradient(parameters, samples.batch(), gradient);
        ++steps;
        elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      }
      const double processor = static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC;
      std::printf("%-20s dropout %.1f  %9.1f samples/s  %9.1f per second of processor time\n",
                  engine->name().c_str(), option.dropout, 16 * steps / elapsed, 16 * steps / processor);
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
    }
  }
}
