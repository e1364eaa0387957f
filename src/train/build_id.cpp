// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/build_id.hpp"

#include <gnu/libc-version.h>

#include "multigrnformer/base/digest.hpp"

namespace mgrn::train {

std::string program_version() {
  return MGRN_PROGRAM_VERSION;
}

const std::string& build_id() {
  static const std::string kId = base::sha256_of_file("/proc/self/exe").substr(0, 16);
  return kId;
}

std::string c_library() {
  return std::string("glibc ") + gnu_get_libc_version();
}

}  // namespace mgrn::train
