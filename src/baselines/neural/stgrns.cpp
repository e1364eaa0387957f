// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/stgrns.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "method_list.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/expression_windows.hpp"
#include "multigrnformer/train/run.hpp"
#include "network.hpp"
#include "neural_method.hpp"

namespace mgrn::baselines {
namespace {

constexpr int kHeads = 2;
constexpr int kInner = 256;
constexpr double kEpsilon = 1e-5;  // LayerNorm's

/// Its dropout layers, in the order in which a sample passes them.
enum Place : std::uint32_t { positions, attention, attention_output, inner, inner_output };

class StgrnsNetwork final : public Network {
 public:
  explicit StgrnsNetwork(int window) : width_(std::int64_t{2} * window) {}

  std::string name() const override { return "stgrns"; }

  NetworkOutput forward(const std::vector<torch::Tensor>& w, const torch::Tensor& inputs,
                        const Dropout& dropout) const override {
    const std::int64_t samples = inputs.size(0);
    const std::int64_t windows = inputs.size(1) / width_;
    torch::Tensor x = inputs.view({samples, windows, width_});
    x = dropout.apply(x + position_table(windows).to(x.scalar_type()), positions);
    x = torch::layer_norm(x + attend(w, x, dropout), {width_}, w[8], w[9], kEpsilon);
    torch::Tensor fed = dropout.apply(torch::relu(torch::linear(x, w[4], w[5])), inner);
    fed = dropout.apply(torch::linear(fed, w[6], w[7]), inner_output);
    x = torch::layer_norm(x + fed, {width_}, w[10], w[11], kEpsilon);
    NetworkOutput out;
    out.hidden = torch::relu(torch::linear(x.mean(1), w[12], w[13]));
    // softmax over two classes gives the second one sigmoid(z1 - z0), and cross entropy is that of the logit.
    const torch::Tensor classes = torch::linear(out.hidden, w[14], w[15]);
    out.logits = classes.select(1, 1) - classes.select(1, 0);
    return out;
  }

 private:
  torch::Tensor attend(const std::vector<torch::Tensor>& w, const torch::Tensor& x,
                       const Dropout& dropout) const {
    const std::int64_t samples = x.size(0), windows = x.size(1), of_head = width_ / kHeads;
    // (samples, windows, 3 width) -> three of (samples, heads, windows, width of a head)
    const std::vector<torch::Tensor> parts = torch::linear(x, w[0], w[1])
                                                 .view({samples, windows, 3, kHeads, of_head})
                                                 .permute({2, 0, 3, 1, 4})
                                                 .unbind(0);
    torch::Tensor mixed;
    if (dropout.active()) {
      const double scale = 1.0 / std::sqrt(static_cast<double>(of_head));
      const torch::Tensor scores = torch::matmul(parts[0] * scale, parts[1].transpose(-2, -1));
      mixed = torch::matmul(dropout.apply(torch::softmax(scores, -1), attention), parts[2]);
    } else {
      mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    }
    mixed = mixed.transpose(1, 2).reshape({samples, windows, width_});
    return dropout.apply(torch::linear(mixed, w[2], w[3]), attention_output);
  }

  // sin and cos of window / 10000^(2 i / width) in columns 2 i and 2 i + 1.
  torch::Tensor position_table(std::int64_t windows) const {
    torch::Tensor table = torch::empty({windows, width_}, torch::kFloat64);
    auto* value = table.data_ptr<double>();
    for (std::int64_t window = 0; window < windows; ++window) {
      for (std::int64_t column = 0; column < width_; ++column) {
        const double even = static_cast<double>(column - column % 2);
        const double angle =
            static_cast<double>(window) / std::pow(10000.0, even / static_cast<double>(width_));
        *value++ = column % 2 == 0 ? std::sin(angle) : std::cos(angle);
      }
    }
    return table;
  }

  std::int64_t width_;
};

class Stgrns final : public train::Method {
 public:
  explicit Stgrns(const NeuralOptions& options) : options_(options) {}

  std::string name() const override { return "stgrns"; }

  void check(const train::Settings& settings) const override {
    check_neural_settings("stgrns", settings);
    if (options_.window < 1) {
      throw base::UsageError({.what = "illegal number of cells in a window",
                              .file = "baseline.window",
                              .expected = "at least 1",
                              .got = std::to_string(options_.window),
                              .hint = "set baseline.window = 100"});
    }
  }

  model::Parameters parameters(const train::Settings& /*settings*/) const override {
    const std::int64_t width = 2 * std::int64_t{options_.window};
    const std::vector<model::TensorShape> tensors = {{"encoder.self_attn.in_proj_weight", {3 * width, width}},
                                                     {"encoder.self_attn.in_proj_bias", {3 * width}},
                                                     {"encoder.self_attn.out_proj.weight", {width, width}},
                                                     {"encoder.self_attn.out_proj.bias", {width}},
                                                     {"encoder.linear1.weight", {kInner, width}},
                                                     {"encoder.linear1.bias", {kInner}},
                                                     {"encoder.linear2.weight", {width, kInner}},
                                                     {"encoder.linear2.bias", {width}},
                                                     {"encoder.norm1.weight", {width}},
                                                     {"encoder.norm1.bias", {width}},
                                                     {"encoder.norm2.weight", {width}},
                                                     {"encoder.norm2.bias", {width}},
                                                     {"classifier.0.weight", {width, width}},
                                                     {"classifier.0.bias", {width}},
                                                     {"classifier.2.weight", {2, width}},
                                                     {"classifier.2.bias", {2}}};
    return {{{"baseline.method", "stgrns"}, {"baseline.window", std::to_string(options_.window)}}, tensors};
  }

  // PyTorch's defaults, which model::initialise knows by the same names.
  void initialise(model::Parameters& parameters, std::uint64_t seed) const override {
    model::initialise(parameters, seed);
  }

  int hidden_units(const train::Settings& /*settings*/) const override { return 2 * options_.window; }

  bool draws_samples() const override { return false; }

  std::unique_ptr<model::Engine> engine(const train::Settings& settings, int /*gpu*/) const override {
    return make_network_engine(stgrns_network(options_.window), settings.micro_batch,
                               settings.engine.dropout);
  }

  std::unique_ptr<pairs::SampleSource> samples(const train::Settings& /*settings*/,
                                               const std::filesystem::path& dataset,
                                               std::vector<std::uint32_t> genes,
                                               comm::Communicator& communicator) const override {
    return load_neural_samples(
        "stgrns", dataset, std::move(genes), options_.values, Values::lognorm, communicator,
        [&](const store::Dataset& opened) {
          require_window(opened.cells(), options_.window, opened.file().string());
        },
        [&](std::uint32_t cells, std::vector<std::uint32_t> wanted, const ExpressionWindows::Read& read) {
          return std::make_unique<ExpressionWindows>(cells, std::move(wanted), read, options_.window,
                                                     communicator);
        });
  }

 private:
  NeuralOptions options_;
};

}  // namespace

std::shared_ptr<const Network> stgrns_network(int window) {
  return std::make_shared<StgrnsNetwork>(window);
}

std::shared_ptr<const train::Method> make_stgrns(const NeuralOptions& options) {
  return std::make_shared<Stgrns>(options);
}

void set_stgrns_recipe(train::Settings& settings, const std::set<std::string>& given) {
  const auto set = [&](const char* key, auto& field, auto value) {
    if (!given.contains(key)) {
      field = value;
    }
  };
  settings.optimizer = train::OptimizerKind::adam;
  set("train.learning_rate", settings.adam.learning_rate, 3e-4);
  settings.adam.predictor_learning_rate = settings.adam.learning_rate;
  set("train.weight_decay", settings.adam.weight_decay, 1e-5);
  set("train.clip", settings.adam.clip, 10.0);
  set("train.batch", settings.batch, 32);
  set("train.micro_batch", settings.micro_batch, 16);
  set("train.epochs", settings.epochs, 200);
  set("model.dropout", settings.engine.dropout, 0.1);
  settings.shuffle_each_epoch = false;
  settings.best_epoch_from = std::numeric_limits<int>::max();
}

Method stgrns_method() {
  return {.name = "stgrns",
          .summary = "Transformer over windows of cells (Xu and others 2023)",
          .work = TrainMethod([](const train::Settings& settings, const Options& /*options*/,
                                 comm::Communicator& communicator, const train::Hooks& hooks) {
            return train::run_training(settings, communicator, hooks);
          }),
          .defaults = [](train::Settings& settings, Options& options, const std::set<std::string>& given) {
            settings.method = make_stgrns(options.neural);
            set_stgrns_recipe(settings, given);
          }};
}

}  // namespace mgrn::baselines
