// SPDX-License-Identifier: Apache-2.0
// One table holds every key that a user can set: its name, what it accepts, its default, its help and the
// field it fills. The parser, `--help`, config.ini and docs/keys.md all read this table, so they cannot drift
// apart.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mgrn::cli {

struct Key {
  std::string name;         ///< "train.epochs", or "out"
  std::string placeholder;  ///< what stands for the value in help: "N", "FILE", "mad|bounds|none"
  std::string help;         ///< one sentence, no full stop
  bool flag = false;        ///< stands alone, takes no value on the command line
  bool path = false;  ///< one file, or several between commas: relative ones in a config belong to its folder
  bool result = true;                           ///< results depend on it: it goes into config.ini
  std::function<void(const std::string&)> set;  ///< throws UsageError on an illegal value
  std::function<std::string()> get;             ///< the value now, as `set` would take it
};

/// Keys in the order in which help shows them.
class KeyTable {
 public:
  Key& text(const std::string& name, const std::string& placeholder, std::string& field,
            const std::string& help);
  Key& file(const std::string& name, std::filesystem::path& field, const std::string& help);
  Key& files(const std::string& name, std::vector<std::filesystem::path>& field, const std::string& help);
  Key& flag(const std::string& name, bool& field, const std::string& help);
  Key& boolean(const std::string& name, bool& field, const std::string& help);
  Key& integer(const std::string& name, int& field, std::int64_t least, std::int64_t most,
               const std::string& help);
  Key& integer(const std::string& name, std::int64_t& field, std::int64_t least, std::int64_t most,
               const std::string& help);
  Key& integer(const std::string& name, std::uint64_t& field, std::uint64_t least, std::uint64_t most,
               const std::string& help);
  Key& real(const std::string& name, double& field, double least, double most, const std::string& help);
  /// An integer or real as above, or `word` ("all", "inf") for `meaning`, a value that no such number has.
  template <typename T>
  Key& number_or_word(const std::string& name, T& field, T least, T most, const std::string& word, T meaning,
                      const std::string& help) {
    Key& key = [&]() -> Key& {
      if constexpr (std::is_floating_point_v<T>) {
        return real(name, field, least, most, help);
      } else {
        return integer(name, field, least, most, help);
      }
    }();
    return or_word(
        key, word, [&field, meaning] { field = meaning; }, [&field, meaning] { return field == meaning; });
  }

  /// One of a fixed list of words, each standing for a value of the field's type.
  template <typename T>
  Key& choice(const std::string& name, T& field, std::vector<std::pair<std::string, T>> words,
              const std::string& help) {
    std::vector<std::string> names;
    names.reserve(words.size());
    for (const auto& word : words) {
      names.push_back(word.first);
    }
    return word_choice(
        name, names, help, [&field, words](std::size_t index) { field = words[index].second; },
        [&field, words] {
          for (const auto& word : words) {
            if (word.second == field) {
              return word.first;
            }
          }
          return std::string();
        });
  }
  /// A key with its own rules.
  Key& custom(Key key);

  const std::vector<Key>& keys() const { return keys_; }
  const Key* find(const std::string& name) const;

 private:
  Key& word_choice(const std::string& name, const std::vector<std::string>& words, const std::string& help,
                   std::function<void(std::size_t)> choose, std::function<std::string()> chosen);
  static Key& or_word(Key& number, const std::string& word, std::function<void()> choose,
                      std::function<bool()> chosen);

  std::vector<Key> keys_;
};

/// The entry of `names` that is most like `name` (edit distance), empty when none is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& names);

/// `a, b ,c` -> {"a", "b", "c"}; empty fields are dropped.
std::vector<std::string> split_list(const std::string& text);

}  // namespace mgrn::cli
