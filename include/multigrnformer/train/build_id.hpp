// SPDX-License-Identifier: Apache-2.0
// Which binary computed something. Bits are promised per binary: another compiler, or another flag, rounds
// differently.
#pragma once

#include <string>

namespace mgrn::train {

/// The program's version, "0.1.0".
std::string program_version();
/// First 16 hexadecimal digits of the running executable's SHA-256. Computed once; thread-safe.
const std::string& build_id();
/// Version of the C library, whose exp and log enter the loss.
std::string c_library();

}  // namespace mgrn::train
