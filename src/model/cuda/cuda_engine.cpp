// SPDX-License-Identifier: Apache-2.0
#include "model/cuda/cuda_engine.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <system_error>
#include <utility>
#include <vector>

#include "model/cell_set_layout.hpp"
#include "model/checks.hpp"
#include "model/cpu/exponential_polynomials.hpp"
#include "model/dropout.hpp"
#include "model/positions.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/model/devices.hpp"

namespace mgrn::model::cuda {
namespace {

constexpr const char* kModule = "libmultigrnformer_cuda.so";
constexpr const char* kDriver = "libcuda.so.1";
constexpr const char* kExpected = "a GPU, and the module library of the CUDA kernels beside the program";

[[noreturn]] void refuse(std::string what, std::string got, std::string hint) {
  throw base::UsageError({.what = std::move(what),
                          .file = "train.device",
                          .expected = kExpected,
                          .got = std::move(got),
                          .hint = std::move(hint)});
}

/// Beside the program, where it is installed, and where the system looks.
std::vector<std::string> places_of(const char* library) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  std::vector<std::string> places;
  if (!error) {
    const std::filesystem::path folder = program.parent_path();
    for (const std::filesystem::path& place :
         {folder / library, folder.parent_path() / "lib" / "multigrnformer" / library}) {
      if (std::filesystem::exists(place, error)) places.push_back(place.string());
    }
  }
  places.emplace_back(library);
  return places;
}

// Where there is no driver there is no GPU; to open the module, with cuBLAS behind it, takes a tenth of a
// second.
bool driver_is_there() {
  return std::ranges::any_of(places_of(kDriver), [](const std::string& place) {
    void* const driver = dlopen(place.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (driver != nullptr) dlclose(driver);
    return driver != nullptr;
  });
}

std::vector<Polynomial> polynomials() {
  std::vector<Polynomial> result;
  for (const auto& polynomial : cpu::exponential_polynomials()) {
    if (polynomial.terms > kTerms) {
      throw base::InternalError({.what = "a polynomial has more terms than the CUDA kernels have room for",
                                 .expected = std::to_string(kTerms),
                                 .got = std::to_string(polynomial.terms),
                                 .hint = "Report this as a defect of the program."});
    }
    Polynomial copy{polynomial.range, polynomial.terms, {}};
    std::copy_n(polynomial.coefficients, polynomial.terms, copy.coefficients);
    result.push_back(copy);
  }
  return result;
}

/// Columns in the memory of a GPU.
class CudaColumns final : public HeldColumns {
 public:
  CudaColumns(HeldTable* table, const Api& api) : table_(table), api_(api) {}
  ~CudaColumns() override { api_.release(table_); }
  CudaColumns(const CudaColumns&) = delete;
  CudaColumns& operator=(const CudaColumns&) = delete;
  const HeldTable* table() const { return table_; }

 private:
  HeldTable* table_;
  const Api& api_;
};

void check(int failed, const Message& message) {
  if (failed != 0) {
    throw base::InternalError(
        {.what = "the GPU failed",
         .got = message.text,
         .hint = "Look into the system's log for the device, or set train.device to cpu."});
  }
}

UpdateGroup plain(const WeightGroup& group) {
  return {.first = static_cast<std::int64_t>(group.first),
          .last = static_cast<std::int64_t>(group.last),
          .rule = group.rule == WeightGroup::Rule::frozen ? kRuleFrozen
                  : group.rule == WeightGroup::Rule::adam ? kRuleAdam
                                                          : kRuleDescent,
          .weight_decay = group.weight_decay,
          .one_minus_beta1 = group.one_minus_beta1,
          .beta2 = group.beta2,
          .one_minus_beta2 = group.one_minus_beta2,
          .step_size = group.step_size,
          .root_correction = group.root_correction,
          .epsilon = group.epsilon,
          .rate = group.rate,
          .momentum = group.momentum};
}

class CudaWeights final : public DeviceWeights {
 public:
  CudaWeights(std::size_t count, int moments, int gpu, const Api& api)
      : count_(count), moments_(moments), api_(api) {
    Message message{};
    weights_ = api.make_weights(static_cast<std::int64_t>(count), moments, gpu, &message);
    check(weights_ == nullptr ? 1 : 0, message);
  }
  ~CudaWeights() override { api_.drop_weights(weights_); }
  CudaWeights(const CudaWeights&) = delete;
  CudaWeights& operator=(const CudaWeights&) = delete;
  const Weights* weights() const { return weights_; }

  void put(std::span<const float> weights, std::span<const float> first_moment,
           std::span<const float> second_moment) override {
    require({weights.size(), first_moment.size()});
    require({second_moment.size() + (moments_ > 1 ? 0 : count_)});
    Message message{};
    check(api_.put_weights(weights_, weights.data(), first_moment.data(), second_moment.data(), &message),
          message);
  }
  void fetch(std::span<float> weights, std::span<float> first_moment,
             std::span<float> second_moment) const override {
    require({weights.size(), first_moment.size()});
    require({second_moment.size() + (moments_ > 1 ? 0 : count_)});
    Message message{};
    check(api_.fetch_weights(weights_, weights.data(), first_moment.data(), second_moment.data(), &message),
          message);
  }
  void add(std::span<std::uint64_t> to, std::span<const std::uint64_t> from) override {
    require({to.size(), from.size()});
    Message message{};
    check(api_.add_sums(weights_, to.data(), from.data(), &message), message);
  }
  void take_gradient(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale, double divisor,
                     std::span<const WeightGroup> groups) override {
    require({sum.size()});
    std::vector<UpdateGroup> all;
    for (const WeightGroup& group : groups) all.push_back(plain(group));
    Message message{};
    check(api_.take_gradient(weights_, sum.data(), kFixedPointBias * additions,
                             std::ldexp(1.0, -scale) / divisor, all.data(), static_cast<int>(all.size()),
                             &message),
          message);
  }
  void squares(std::span<double> of_blocks) override {
    require({of_blocks.size() + count_ - (count_ + kBlock - 1) / kBlock});
    Message message{};
    check(api_.squares(weights_, of_blocks.data(), &message), message);
  }
  void step(float clip_factor) override {
    Message message{};
    check(api_.move_weights(weights_, clip_factor, &message), message);
  }

 private:
  void require(std::initializer_list<std::size_t> sizes) const {
    for (const std::size_t size : sizes) {
      if (size != count_) {
        throw base::InternalError({.what = "weights on the GPU were handed values of another number",
                                   .expected = std::to_string(count_),
                                   .got = std::to_string(size),
                                   .hint = "Report this as a defect of the program."});
      }
    }
  }

  std::size_t count_;
  int moments_;
  const Api& api_;
  Weights* weights_ = nullptr;
};

std::int32_t number_of(DrawFrom from) {
  return from == DrawFrom::both ? kFromBoth : from == DrawFrom::either ? kFromEither : kFromAll;
}

class CudaEngine final : public Engine {
 public:
  CudaEngine(const Shape& shape, int micro_batch, double dropout, int gpu, const Api& api)
      : shape_(shape),
        layout_(shape),
        micro_batch_(micro_batch),
        dropout_(dropout),
        gpu_(gpu),
        api_(api),
        inputs_(static_cast<std::size_t>(micro_batch) * sample_size()),
        labels_(static_cast<std::size_t>(micro_batch)),
        weights_(labels_.size()),
        logits_(labels_.size()) {
    const auto& views = layout_.views();
    const std::size_t predictor = views.size() - 4;
    const StepShape step{
        .samples = micro_batch,
        .cells = shape.cells,
        .width = shape.width,
        .layers = shape.layers,
        .hidden = shape.hidden,
        .dropout = dropout > 0 ? 1 : 0,
        .dropout_scale = static_cast<float>(dropout_scale(dropout)),
        .polynomial_count = static_cast<std::int32_t>(polynomials().size()),
        .weights = static_cast<std::int64_t>(layout_.values().size()),
        .hidden_weight = static_cast<std::int64_t>(views[predictor].offset),
        .hidden_bias = static_cast<std::int64_t>(views[predictor + 1].offset),
        .logit_weight = static_cast<std::int64_t>(views[predictor + 2].offset),
        .logit_bias = static_cast<std::int64_t>(views[predictor + 3].offset),
    };
    if (dropout > 0) masks_.resize(labels_.size() * sample_mask_words());
    const std::vector<double> table = positional_encoding(shape);
    const std::vector<float> positions(table.begin(), table.end());
    Message message{};
    step_ = api_.create(&step, polynomials().data(), positions.data(), gpu, &message);
    if (step_ == nullptr) {
      refuse("the CUDA kernels cannot compute this model", message.text,
             "Set train.engine to tensor, or train.device to cpu.");
    }
  }
  ~CudaEngine() override { api_.destroy(step_); }
  CudaEngine(const CudaEngine&) = delete;
  CudaEngine& operator=(const CudaEngine&) = delete;

  std::string name() const override { return "linear/cuda"; }

  void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    check_prediction(shape_, parameters, samples, inputs, logits);
    for (int first = 0; first < samples; first += micro_batch_) {
      const int count = std::min(micro_batch_, samples - first);
      std::ranges::fill(inputs_, 0.0f);
      std::ranges::fill(weights_, 0.0f);
      std::fill_n(weights_.begin(), count, 1.0f);
      std::ranges::copy(inputs.subspan(static_cast<std::size_t>(first) * sample_size(),
                                       static_cast<std::size_t>(count) * sample_size()),
                        inputs_.begin());
      const StepInputs in{
          .weights = parameters.values().data(), .inputs = inputs_.data(), .sample_weights = weights_.data()};
      predict(in, logits.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    }
  }

  Holding hold(const ColumnTable& table) override {
    std::vector<GeneColumns> genes;
    for (const HostColumns& gene : table.genes) {
      genes.push_back({.cell_set = gene.cell_set.data(),
                       .values = gene.values.data(),
                       .value_bytes = gene.values.size(),
                       .rna_step = gene.rna_step,
                       .rp_step = gene.rp_step,
                       .rna_zero = gene.rna_zero,
                       .rp_zero = gene.rp_zero});
    }
    const GeneTable wanted{.genes = genes.data(),
                           .gene_count = static_cast<std::int64_t>(genes.size()),
                           .cells = table.cells,
                           .blocks = static_cast<std::uint32_t>(
                               table.genes.empty() ? 0 : table.genes[0].cell_set.size() / kCellBlockBytes),
                           .from = number_of(table.from),
                           .atac = table.atac ? 1 : 0};
    Message message{};
    HeldTable* held = api_.hold(&wanted, shape_.cells, gpu_, &message);
    if (held == nullptr) return {.columns = nullptr, .problem = message.text};
    return {.columns = std::make_shared<CudaColumns>(held, api_), .problem = {}};
  }

  void predict_held(const Parameters& parameters, std::span<const HeldSample> samples,
                    std::span<float> logits) override {
    require_held(samples, micro_batch_, true);
    std::ranges::fill(weights_, 0.0f);
    std::fill_n(weights_.begin(), samples.size(), 1.0f);
    StepInputs in{.weights = parameters.values().data(), .sample_weights = weights_.data()};
    name_rows(samples, in);
    predict(in, logits);
  }

  StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                          std::span<float> gradient) override {
    check_micro_batch(shape_, parameters, batch, gradient, micro_batch_, dropout_ > 0, true);
    const StepInputs in = prepare(parameters, batch);
    StepOutputs out{.gradient = gradient.data()};
    Message message{};
    check(api_.gradient(step_, &in, &out, &message), message);
    check_cells(out);
    return {out.loss, out.live_hidden};
  }

  std::shared_ptr<DeviceWeights> make_device_weights(int moments) override {
    return std::make_shared<CudaWeights>(layout_.values().size(), moments, gpu_, api_);
  }

  void use_weights(const std::shared_ptr<const DeviceWeights>& weights) override {
    weights_on_device_ = std::static_pointer_cast<const CudaWeights>(weights);
  }

  // The sum stays on the device until finish(): per micro-batch only the loss and two counts come back.
  StepStatistics accumulate(const Parameters& parameters, const MicroBatch& batch,
                            FixedPointSum& sum) override {
    check_micro_batch(shape_, parameters, batch, layout_.values(), micro_batch_, dropout_ > 0, true);
    check_sum(sum);
    StepInputs in = prepare(parameters, batch);
    if (weights_on_device_ != nullptr) {
      in.weights = nullptr;
      in.held_weights = weights_on_device_->weights();
    }
    begin(sum);
    StepOutputs out{};
    std::uint32_t largest = 0;
    Message message{};
    check(api_.accumulate(step_, &in, std::ldexp(1.0, sum.scale), &out, &largest, &message), message);
    check_cells(out);
    sum.largest.push_back(largest);
    return {out.loss, out.live_hidden};
  }

  std::span<std::uint64_t> device_sum(FixedPointSum& sum) override {
    check_sum(sum);
    begin(sum);
    std::uint64_t* place = nullptr;
    Message message{};
    check(api_.sum_place(step_, &place, &message), message);
    return {place, layout_.values().size()};
  }

  void finish(FixedPointSum& sum) override {
    if (!waiting_) return;
    check_sum(sum);
    waiting_ = false;
    fetched_.resize(overwrite_ ? 0 : sum.values.size());
    Message message{};
    check(api_.take_sum(step_, overwrite_ ? sum.values.data() : fetched_.data(), &message), message);
    for (std::size_t i = 0; i < fetched_.size(); ++i) sum.values[i] += fetched_[i];
  }

 private:
  /// The device's sum starts with the caller's, or anew after finish().
  void begin(FixedPointSum& sum) {
    if (!sum.fresh && waiting_) return;
    Message message{};
    check(api_.begin_sum(step_, &message), message);
    overwrite_ = sum.fresh;
    waiting_ = true;
    sum.fresh = false;
  }

  void check_sum(const FixedPointSum& sum) const {
    if (sum.values.size() != layout_.values().size()) {
      throw base::InternalError({.what = "an engine was handed a sum of the wrong size",
                                 .expected = std::to_string(layout_.values().size()) + " values",
                                 .got = std::to_string(sum.values.size()),
                                 .hint = "Report this as a defect of the program."});
    }
  }

  StepInputs prepare(const Parameters& parameters, const MicroBatch& batch) {
    std::ranges::fill(labels_, 0.0f);
    std::ranges::fill(weights_, 0.0f);
    std::ranges::copy(batch.labels, labels_.begin());
    std::ranges::copy(batch.weights, weights_.begin());
    if (dropout_ > 0) {
      for (std::size_t row = 0; row < static_cast<std::size_t>(batch.samples); ++row) {
        fill_masks(batch.names[row],
                   std::span(masks_).subspan(row * sample_mask_words(), sample_mask_words()));
      }
    }
    StepInputs in{.weights = parameters.values().data(),
                  .labels = labels_.data(),
                  .sample_weights = weights_.data(),
                  .masks = dropout_ > 0 ? masks_.data() : nullptr};
    if (batch.held.empty()) {
      std::ranges::fill(inputs_, 0.0f);
      std::ranges::copy(batch.inputs, inputs_.begin());
      in.inputs = inputs_.data();
    } else {
      name_rows(batch.held, in);
    }
    return in;
  }

  void name_rows(std::span<const HeldSample> samples, StepInputs& in) {
    rows_.clear();
    for (const HeldSample& sample : samples) {
      // What hold() of this engine's kind has made. NOLINTNEXTLINE(*-static-cast-downcast)
      rows_.push_back({.table = static_cast<const CudaColumns*>(sample.columns)->table(),
                       .tf = sample.tf,
                       .gene = sample.gene,
                       .cells_key = sample.cells_key,
                       .order_key = sample.order_key,
                       .reordered = sample.reordered ? 1 : 0});
    }
    in.held = rows_.data();
    in.held_count = static_cast<std::int32_t>(rows_.size());
  }

  void predict(const StepInputs& in, std::span<float> logits) {
    StepOutputs out{.logits = logits_.data()};
    Message message{};
    check(api_.predict(step_, &in, &out, &message), message);
    check_cells(out);
    std::copy_n(logits_.begin(), logits.size(), logits.begin());
  }

  static void check_cells(const StepOutputs& out) {
    if (out.without_cells != 0) {
      throw base::InternalError({.what = "a sample was to be made of a pair that has no cells to draw from",
                                 .hint = "Report this as a defect of the program."});
    }
  }

  std::size_t sample_size() const {
    return static_cast<std::size_t>(shape_.cells) * static_cast<std::size_t>(shape_.width);
  }
  int words_per_column() const { return (shape_.cells + kMaskCells - 1) / kMaskCells; }
  std::size_t sample_mask_words() const {
    return static_cast<std::size_t>(shape_.layers * 6 * shape_.width * words_per_column());
  }

  void fill_masks(std::uint64_t name, std::span<std::uint32_t> words) const {
    const int columns[3] = {shape_.width, shape_.feed_forward(), shape_.width};
    std::size_t next = 0;
    for (int layer = 0; layer < shape_.layers; ++layer) {
      for (std::uint32_t site = 0; site < 3; ++site) {
        const auto count = static_cast<std::size_t>(columns[site] * words_per_column());
        dropout_mask(name, layer, static_cast<DropoutSite>(site), dropout_threshold(dropout_), columns[site],
                     words_per_column(), words.subspan(next, count));
        next += count;
      }
    }
  }

  Shape shape_;
  Parameters layout_;
  int micro_batch_;
  double dropout_;
  int gpu_;
  const Api& api_;
  std::vector<float> inputs_, labels_, weights_, logits_;
  std::vector<HeldRow> rows_;
  std::shared_ptr<const CudaWeights> weights_on_device_;
  std::vector<std::uint32_t> masks_;
  std::vector<std::uint64_t> fetched_;
  bool waiting_ = false;    // the device holds a sum that finish() has to fetch
  bool overwrite_ = false;  // nothing of it is in the host's memory yet
  Step* step_ = nullptr;
};

}  // namespace

const Api& open_module(const std::string& path) {
  std::string problem;
  for (const std::string& place : path.empty() ? places_of(kModule) : std::vector<std::string>{path}) {
    void* module = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      const char* reason = dlerror();
      if (problem.empty()) problem = reason == nullptr ? place : reason;
      continue;
    }
    void* symbol = dlsym(module, kApiSymbol);
    const Api* api = symbol == nullptr ? nullptr : reinterpret_cast<ApiFunction>(symbol)(kApiVersion);
    if (api == nullptr || api->version != kApiVersion) {
      refuse("the module library of the CUDA kernels is of another version", place,
             "Build or install program and module together.");
    }
    return *api;
  }
  refuse("the module library of the CUDA kernels cannot be loaded", problem,
         "Build with a CUDA compiler (-DMGRN_CUDA=REQUIRED), or set train.device to cpu.");
}

std::unique_ptr<Engine> make_cuda_engine(const Shape& shape, int micro_batch, const EngineOptions& options,
                                         const Api& api) {
  validate(shape);
  check_options(micro_batch, options);
  if (options.isa != "auto") {
    throw base::UsageError({.what = "the instruction set is the processor's, not the GPU's",
                            .file = "train.isa",
                            .expected = "auto",
                            .got = options.isa,
                            .hint = "Set train.isa to auto, or train.device to cpu."});
  }
  const bool scalar_heads = shape.heads == shape.width;
  const bool known_width = shape.width == 4 || shape.width == 6 || shape.width == 8;
  if ((options.kind != "auto" && options.kind != "linear") || !scalar_heads || !known_width) {
    throw base::UsageError(
        {.what = "there are no CUDA kernels for this",
         .file = "train.engine",
         .expected = "auto or linear, model.width 4, 6 or 8, model.heads equal to the width",
         .got = options.kind + ", width " + std::to_string(shape.width) + ", heads " +
                std::to_string(shape.heads),
         .hint = "Set train.engine to tensor, or train.device to cpu."});
  }
  Message message{};
  const int gpus = api.device_count(&message);
  if (gpus < 1) {
    refuse("there is no GPU to compute on", message.text,
           "Run where a GPU and its driver are, or set train.device to cpu.");
  }
  if (options.gpu < 0 || options.gpu >= gpus) {
    throw base::InternalError({.what = "an engine was asked for a GPU that is not there",
                               .expected = "a number below " + std::to_string(gpus),
                               .got = std::to_string(options.gpu),
                               .hint = "Report this as a defect of the program."});
  }
  return std::make_unique<CudaEngine>(shape, micro_batch, options.dropout, options.gpu, api);
}

}  // namespace mgrn::model::cuda

namespace mgrn::model {

std::string gpu_name(int gpu) {
  try {
    cuda::Message name{}, message{};
    const int failed = cuda::open_module().device_name(gpu, &name, &message);
    return failed == 0 ? name.text : std::string("unknown: ") + message.text;
  } catch (const base::UsageError& error) {
    return "unknown: " + error.text().got;
  }
}

std::string describe_cuda() {
  try {
    cuda::Message message{};
    const int count = cuda::open_module().device_count(&message);
    if (count < 1) return std::string("no GPU: ") + message.text;
    std::string text =
        std::to_string(count) + (count == 1 ? " GPU" : " GPUs") + " that the CUDA kernels can use";
    for (int gpu = 0; gpu < count; ++gpu) text += (gpu == 0 ? ": " : ", ") + gpu_name(gpu);
    return text;
  } catch (const base::UsageError& error) {
    return "no CUDA kernels: " + error.text().got;
  }
}

bool is_gpu_engine(std::string_view engine_name) {
  return engine_name.ends_with("/cuda");
}

int usable_gpus() {
  if (!cuda::driver_is_there()) return 0;
  try {
    cuda::Message message{};
    return std::max(0, cuda::open_module().device_count(&message));
  } catch (const base::UsageError&) {
    return 0;
  }
}

}  // namespace mgrn::model
