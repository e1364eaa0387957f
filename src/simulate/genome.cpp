// SPDX-License-Identifier: Apache-2.0
#include "genome.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "stream.hpp"

namespace mgrn::simulate {
namespace {

constexpr std::array<const char*, 13> kMitochondrial = {"ND1", "ND2",  "CO1", "CO2", "ATP8", "ATP6", "CO3",
                                                        "ND3", "ND4L", "ND4", "ND5", "ND6",  "CYTB"};

std::string padded(std::uint64_t number, std::size_t digits) {
  std::string text = std::to_string(number);
  return text.size() < digits ? std::string(digits - text.size(), '0') + text : text;
}

// Mouse symbols are written with a capital and small letters.
std::string capitalised(std::string text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    text[i] = static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
  }
  return text;
}

void name_genes(Genome& genome, const Settings& settings) {
  const bool mouse = settings.organism == Organism::mouse;
  for (std::uint32_t g = 0; g < genome.genes.size(); ++g) {
    Gene& gene = genome.genes[g];
    gene.number = g < genome.tfs ? g : (std::uint64_t{1} << 24) + g - genome.tfs;
    gene.id = (mouse ? "SIMMUSG" : "SIMG") + padded(g + 1, 11);
    if (g < genome.tfs) {
      gene.symbol = (mouse ? "Tf" : "TF") + padded(g + 1, 4);
    } else if (g < genome.regulated) {
      gene.symbol = (mouse ? "Gene" : "GENE") + padded(g - genome.tfs + 1, 5);
    } else {
      const std::string name = kMitochondrial[g - genome.regulated];
      gene.symbol = mouse ? "mt-" + capitalised(name) : "MT-" + name;
    }
  }
}

// Exons of a gene body of `length`, from the transcription start on: evenly begun, the last one (with the 3'
// end) the longest.
std::vector<formats::Interval> make_exons(std::int64_t length, base::PhiloxStream& random) {
  const std::int64_t count = 2 + random.below(7);
  const std::int64_t room = length / count;
  std::vector<formats::Interval> exons;
  for (std::int64_t k = 0; k < count; ++k) {
    const bool last = k + 1 == count;
    const double typical = last ? 900.0 : 150.0;
    const auto drawn = static_cast<std::int64_t>(typical * std::exp(0.5 * random.normal()));
    const std::int64_t size = std::clamp<std::int64_t>(drawn, 50, room - room / 4);
    exons.push_back(last ? formats::Interval{length - size, length}
                         : formats::Interval{k * room, k * room + size});
  }
  return exons;
}

void place_exons(Gene& gene, const std::vector<formats::Interval>& exons) {
  std::vector<formats::Interval> placed;
  placed.reserve(exons.size());
  for (const formats::Interval& exon : exons) {
    placed.push_back(gene.forward ? formats::Interval{gene.start + exon.start, gene.start + exon.end}
                                  : formats::Interval{gene.end - exon.end, gene.end - exon.start});
  }
  if (!gene.forward) {
    std::reverse(placed.begin(), placed.end());
  }
  gene.transcripts.push_back(std::move(placed));
}

// Genes in a random order along the chromosomes, about 80 kb apart as in mammals. Returns each chromosome's
// length.
std::vector<std::int64_t> place_genes(Genome& genome, const Settings& settings) {
  const std::uint64_t seed = settings.rules_seed;
  const std::uint32_t most = settings.organism == Organism::human ? 22 : 19;
  const std::uint32_t chromosomes = std::clamp<std::uint32_t>(genome.regulated / 40, 2, most);
  for (std::uint32_t c = 1; c <= chromosomes; ++c) {
    genome.chromosomes.push_back("chr" + std::to_string(c));
  }
  genome.chromosomes.emplace_back("chrM");

  std::vector<std::uint32_t> order(genome.regulated);
  std::iota(order.begin(), order.end(), 0u);
  base::PhiloxStream shuffling = stream(seed, "gene order");
  base::shuffle(order, shuffling);

  std::vector<std::int64_t> lengths(genome.chromosomes.size(), 100'000);
  for (std::uint32_t place = 0; place < genome.regulated; ++place) {
    Gene& gene = genome.genes[order[place]];
    base::PhiloxStream random = stream(seed, "gene place", gene.number);
    gene.chromosome = static_cast<std::uint32_t>(std::uint64_t{place} * chromosomes / genome.regulated);
    std::int64_t& cursor = lengths[gene.chromosome];
    const auto gap = static_cast<std::int64_t>(10'000.0 - 55'000.0 * std::log1p(-random.uniform()));
    const auto length =
        static_cast<std::int64_t>(std::clamp(12'000.0 * std::exp(0.8 * random.normal()), 2'000.0, 150'000.0));
    gene.forward = random.below(2) == 0;
    gene.start = cursor + gap;
    gene.end = gene.start + length;
    cursor = gene.end;
    const std::vector<formats::Interval> exons = make_exons(length, random);
    place_exons(gene, exons);
    if (exons.size() > 2 && random.uniform() < 0.3) {
      std::vector<formats::Interval> skipping = exons;
      skipping.erase(skipping.begin() + 1 + random.below(static_cast<std::uint32_t>(exons.size()) - 2));
      place_exons(gene, skipping);
    }
  }
  for (std::int64_t& length : lengths) {
    length += 100'000;
  }
  std::int64_t cursor = 500;
  for (std::size_t g = genome.regulated; g < genome.genes.size(); ++g) {
    Gene& gene = genome.genes[g];
    gene.chromosome = chromosomes;
    gene.start = cursor;
    gene.end = cursor + 1'000;
    cursor += 1'200;
    place_exons(gene, {{0, 1'000}});
  }
  return lengths;
}

struct Site {
  Peak peak;
  std::int64_t center = 0;
};

std::vector<Site> make_sites(const Genome& genome, const Settings& settings,
                             const std::vector<std::int64_t>& lengths) {
  const std::uint64_t seed = settings.rules_seed;
  std::vector<Site> sites;
  sites.reserve(settings.peaks);
  const auto add = [&](std::uint32_t chromosome, std::int64_t center, PeakKind kind, std::uint32_t gene,
                       std::uint64_t ordinal) {
    sites.push_back({.peak = {.chromosome = chromosome, .kind = kind, .gene = gene, .ordinal = ordinal},
                     .center = center});
  };
  const std::uint64_t promoters = std::min<std::uint64_t>(settings.peaks, genome.regulated);
  for (std::uint32_t g = 0; g < promoters; ++g) {
    const Gene& gene = genome.genes[g];
    base::PhiloxStream random = stream(seed, "promoter", gene.number);
    add(gene.chromosome, gene.tss() + static_cast<std::int64_t>(150.0 * random.normal()), PeakKind::promoter,
        g, 0);
  }
  // Of the other peaks 60 % are enhancers of some gene, at most three per gene; the rest are unrelated.
  const std::uint64_t enhancers =
      std::min<std::uint64_t>((settings.peaks - promoters) * 6 / 10, 3 * std::uint64_t{genome.regulated});
  for (std::uint64_t e = 0; e < enhancers; ++e) {
    const auto g = static_cast<std::uint32_t>(e % genome.regulated);
    const Gene& gene = genome.genes[g];
    base::PhiloxStream random = stream(seed, "enhancer", gene.number, e / genome.regulated);
    // Log-uniform from 3 to 60 kb, median 13 kb.
    const auto distance = static_cast<std::int64_t>(3'000.0 * std::pow(20.0, random.uniform()));
    add(gene.chromosome, gene.tss() + (random.below(2) == 0 ? distance : -distance), PeakKind::enhancer, g,
        e / genome.regulated);
  }
  // Background peaks lie anywhere on the chromosomes that have genes, by length.
  std::vector<double> until(lengths.size() - 1);
  double total = 0.0;
  for (std::size_t c = 0; c < until.size(); ++c) {
    total += static_cast<double>(lengths[c]);
    until[c] = total;
  }
  for (std::uint64_t b = sites.size(); b < settings.peaks; ++b) {
    base::PhiloxStream random = stream(seed, "background peak", b);
    const double place = random.uniform() * total;
    const auto c =
        static_cast<std::size_t>(std::upper_bound(until.begin(), until.end(), place) - until.begin());
    const double before = c == 0 ? 0.0 : until[c - 1];
    add(static_cast<std::uint32_t>(c), static_cast<std::int64_t>(place - before), PeakKind::background, 0, b);
  }
  return sites;
}

void place_peaks(Genome& genome, const Settings& settings, const std::vector<std::int64_t>& lengths) {
  std::vector<Site> sites = make_sites(genome, settings, lengths);
  std::stable_sort(sites.begin(), sites.end(), [](const Site& a, const Site& b) {
    return a.peak.chromosome != b.peak.chromosome ? a.peak.chromosome < b.peak.chromosome
                                                  : a.center < b.center;
  });
  std::int64_t free_from = 0;
  for (std::size_t p = 0; p < sites.size(); ++p) {
    Peak peak = sites[p].peak;
    base::PhiloxStream random = stream(settings.rules_seed, "peak width", p);
    const std::int64_t width = 400 + random.below(700);
    if (p == 0 || sites[p - 1].peak.chromosome != peak.chromosome) {
      free_from = 0;
    }
    // Peak callers merge what overlaps; here the second of two moves behind the first.
    peak.start = std::max(sites[p].center - width / 2, free_from);
    peak.end = peak.start + width;
    free_from = peak.end + 1;
    genome.peaks.push_back(peak);
    if (peak.kind != PeakKind::background) {
      std::vector<std::uint32_t>& own = genome.genes[peak.gene].peaks;
      const auto number = static_cast<std::uint32_t>(p);
      own.insert(peak.kind == PeakKind::promoter ? own.begin() : own.end(), number);
    }
  }
}

}  // namespace

std::uint64_t mitochondrial_genes(std::uint64_t genes) {
  return std::min<std::uint64_t>(kMitochondrial.size(), genes / 25);
}

std::string Genome::interval(std::uint32_t chromosome, std::int64_t start, std::int64_t end) const {
  return chromosomes[chromosome] + ":" + std::to_string(start) + "-" + std::to_string(end);
}

Genome make_genome(const Settings& settings) {
  Genome genome;
  genome.genes.resize(settings.genes);
  genome.tfs = static_cast<std::uint32_t>(settings.tfs);
  genome.regulated = static_cast<std::uint32_t>(settings.genes - mitochondrial_genes(settings.genes));
  name_genes(genome, settings);
  const std::vector<std::int64_t> lengths = place_genes(genome, settings);
  place_peaks(genome, settings, lengths);
  return genome;
}

}  // namespace mgrn::simulate
