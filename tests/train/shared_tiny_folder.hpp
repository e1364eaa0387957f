// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "multigrnformer/comm/agree.hpp"
#include "support/shared_folder.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train::test {

/// A folder of all ranks with the inputs of a tiny run in it.
class SharedTinyFolder : public mgrn::test::SharedFolder {
 public:
  SharedTinyFolder() {
    comm::agree(mgrn::test::world(), [&] {
      if (mgrn::test::world().rank() == 0) {
        write_tiny_inputs(path());
      }
    });
  }
};

}  // namespace mgrn::train::test
