// SPDX-License-Identifier: Apache-2.0
#include "method_list.hpp"

#include <algorithm>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::baselines {

base::Json PairScorer::facts() const {
  return base::Json::object();
}

const std::vector<Method>& methods() {
  static const std::vector<Method> list = {
      random_method(),   degree_method(),       neighbours_method(), pearson_method(),
      spearman_method(), coexpression_method(), marginals_method(),  embeddings_method(),
      cnnc_method(),     stgrns_method(),       genie3_method(),     grnboost2_method(),
  };
  return list;
}

std::string method_names() {
  std::string names;
  for (const auto& method : methods()) {
    names += (names.empty() ? "" : ", ") + method.name;
  }
  return names;
}

bool trains(const std::string& name) {
  return std::holds_alternative<TrainMethod>(find_method(name).work);
}

const Method& find_method(const std::string& name) {
  const auto& list = methods();
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const Method& method) { return method.name == name; });
  if (found == list.end()) {
    throw base::UsageError({.what = name.empty() ? "key method is missing" : "unknown method",
                            .file = "method",
                            .expected = "one of " + method_names(),
                            .got = name.empty() ? "nothing" : name,
                            .hint = "give --method one of these; docs/baselines.md says what each does"});
  }
  return *found;
}

}  // namespace mgrn::baselines
