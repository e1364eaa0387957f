// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "multigrnformer/comm/communicator.hpp"
#include "support/mpi_world.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::test {

/// A fresh folder that all ranks of this host share; rank 0 makes and removes it. Collective, the end as
/// well.
class SharedFolder {
 public:
  SharedFolder() {
    if (world().rank() == 0) {
      owned_ = std::make_unique<TemporaryDirectory>();
    }
    path_ = comm::broadcast_text(world(), owned_ ? owned_->path().string() : "");
  }
  ~SharedFolder() { world().barrier(); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::unique_ptr<TemporaryDirectory> owned_;
  std::filesystem::path path_;
};

}  // namespace mgrn::test
