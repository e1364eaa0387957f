// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/key_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "multigrnformer/base/error.hpp"

namespace mgrn::cli {
namespace {

[[noreturn]] void throw_illegal(const std::string& key, const std::string& expected, const std::string& got) {
  throw base::UsageError({.what = "illegal value of " + key,
                          .expected = expected,
                          .got = got.empty() ? "nothing" : "\"" + got + "\"",
                          .hint = "give --" + key + " a value of that kind; --help lists all keys"});
}

// The whole text must be the number: "20x" and "" are mistakes, not 20 and 0.
template <typename T>
bool parse_number(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  return code == std::errc() && stop == end && !text.empty();
}

template <typename T>
std::string number_text(T value) {
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return code == std::errc() ? std::string(buffer, end) : std::string();
}

template <typename Field, typename Bound>
Key integer_key(const std::string& name, Field& field, Bound least, Bound most, const std::string& help) {
  const bool open = most >= static_cast<Bound>(std::numeric_limits<Field>::max());
  const std::string expected = open ? fmt::format("an integer of at least {}", least)
                                    : fmt::format("an integer from {} to {}", least, most);
  return {.name = name,
          .placeholder = "N",
          .help = help,
          .set =
              [&field, name, least, most, expected](const std::string& text) {
                Bound value = 0;
                if (!parse_number(text, value) || value < least || value > most) {
                  throw_illegal(name, expected, text);
                }
                field = static_cast<Field>(value);
              },
          .get = [&field] { return number_text(field); }};
}

std::string join_paths(const std::vector<std::filesystem::path>& paths) {
  std::string text;
  for (const auto& path : paths) {
    text += (text.empty() ? "" : ",") + path.string();
  }
  return text;
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> previous(b.size() + 1), current(b.size() + 1), before(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    previous[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);  // swapped letters are one slip
      }
    }
    before = previous;
    previous = current;
  }
  return previous[b.size()];
}

}  // namespace

Key& KeyTable::custom(Key key) {
  return keys_.emplace_back(std::move(key));
}

Key& KeyTable::text(const std::string& name, const std::string& placeholder, std::string& field,
                    const std::string& help) {
  return custom({.name = name,
                 .placeholder = placeholder,
                 .help = help,
                 .set = [&field](const std::string& value) { field = value; },
                 .get = [&field] { return field; }});
}

Key& KeyTable::file(const std::string& name, std::filesystem::path& field, const std::string& help) {
  return custom({.name = name,
                 .placeholder = "FILE",
                 .help = help,
                 .path = true,
                 .set = [&field](const std::string& value) { field = value; },
                 .get = [&field] { return field.string(); }});
}

Key& KeyTable::files(const std::string& name, std::vector<std::filesystem::path>& field,
                     const std::string& help) {
  return custom({.name = name,
                 .placeholder = "FILE[,FILE...]",
                 .help = help,
                 .path = true,
                 .set =
                     [&field](const std::string& value) {
                       field.clear();
                       for (const auto& item : split_list(value)) {
                         field.emplace_back(item);
                       }
                     },
                 .get = [&field] { return join_paths(field); }});
}

Key& KeyTable::boolean(const std::string& name, bool& field, const std::string& help) {
  Key& key = choice<bool>(
      name, field,
      {{"yes", true}, {"no", false}, {"true", true}, {"false", false}, {"1", true}, {"0", false}}, help);
  key.placeholder = "yes|no";
  return key;
}

Key& KeyTable::flag(const std::string& name, bool& field, const std::string& help) {
  Key& key = boolean(name, field, help);
  key.flag = true;
  key.placeholder.clear();
  return key;
}

Key& KeyTable::integer(const std::string& name, int& field, std::int64_t least, std::int64_t most,
                       const std::string& help) {
  return custom(
      integer_key(name, field, least, std::min<std::int64_t>(most, std::numeric_limits<int>::max()), help));
}

Key& KeyTable::integer(const std::string& name, std::int64_t& field, std::int64_t least, std::int64_t most,
                       const std::string& help) {
  return custom(integer_key(name, field, least, most, help));
}

Key& KeyTable::integer(const std::string& name, std::uint64_t& field, std::uint64_t least, std::uint64_t most,
                       const std::string& help) {
  return custom(integer_key(name, field, least, most, help));
}

Key& KeyTable::real(const std::string& name, double& field, double least, double most,
                    const std::string& help) {
  const std::string expected = std::isinf(most) ? fmt::format("a number of at least {}", least)
                                                : fmt::format("a number from {} to {}", least, most);
  return custom({.name = name,
                 .placeholder = "X",
                 .help = help,
                 .set =
                     [&field, name, least, most, expected](const std::string& text) {
                       double value = 0;
                       if (!parse_number(text, value) || !std::isfinite(value) || value < least ||
                           value > most) {
                         throw_illegal(name, expected, text);
                       }
                       field = value;
                     },
                 .get = [&field] { return number_text(field); }});
}

Key& KeyTable::or_word(Key& number, const std::string& word, std::function<void()> choose,
                       std::function<bool()> chosen) {
  number.placeholder += "|" + word;
  number.set = [name = number.name, word, set = std::move(number.set),
                choose = std::move(choose)](const std::string& text) {
    if (text == word) {
      choose();
      return;
    }
    try {
      set(text);
    } catch (const base::UsageError& error) {
      throw_illegal(name, error.text().expected + ", or " + word, text);
    }
  };
  number.get = [word, get = std::move(number.get), chosen = std::move(chosen)] {
    return chosen() ? word : get();
  };
  return number;
}

Key& KeyTable::word_choice(const std::string& name, const std::vector<std::string>& words,
                           const std::string& help, std::function<void(std::size_t)> choose,
                           std::function<std::string()> chosen) {
  const std::string list = fmt::format("{}", fmt::join(words, "|"));
  return custom({.name = name,
                 .placeholder = list,
                 .help = help,
                 .set =
                     [name, words, choose = std::move(choose)](const std::string& text) {
                       const auto place = std::find(words.begin(), words.end(), text);
                       if (place == words.end()) {
                         const std::string near = nearest_name(text, words);
                         throw_illegal(name,
                                       fmt::format("one of {}{}", fmt::join(words, ", "),
                                                   near.empty() ? "" : " (did you mean " + near + "?)"),
                                       text);
                       }
                       choose(static_cast<std::size_t>(place - words.begin()));
                     },
                 .get = std::move(chosen)});
}

const Key* KeyTable::find(const std::string& name) const {
  const auto place =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.name == name; });
  return place == keys_.end() ? nullptr : &*place;
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 2);  // further than half of it is no likeness
  for (const auto& candidate : names) {
    // A key given without its section is as near as can be.
    const auto dot = candidate.find('.');
    const bool same_tail = dot != std::string::npos && candidate.substr(dot + 1) == name;
    const std::size_t distance = same_tail ? 0 : edit_distance(name, candidate);
    if (distance <= least && (best.empty() || distance < least)) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    std::size_t first = start, last = end;
    while (first < last && (text[first] == ' ' || text[first] == '\t')) {
      ++first;
    }
    while (last > first && (text[last - 1] == ' ' || text[last - 1] == '\t')) {
      --last;
    }
    if (last > first) {
      items.push_back(text.substr(first, last - first));
    }
    start = end + 1;
  }
  return items;
}

}  // namespace mgrn::cli
