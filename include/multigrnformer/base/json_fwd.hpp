// SPDX-License-Identifier: Apache-2.0
// The name of Json for headers that only pass one on: what nlohmann's library costs to compile is paid by the
// sources that look inside, which include base/json.hpp.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace mgrn::base {

using Json = nlohmann::json;  // std::map inside: keys come out sorted

}  // namespace mgrn::base
