// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mgrn::test {

/// Seconds that a test may take, as this build needs them: times $MGRN_TEST_TIMEOUT_FACTOR, which CTest sets
/// as it stretches its own limits (cmake/MgrnSanitizers.cmake); 1 where it is not set.
double time_limit(double seconds);

}  // namespace mgrn::test
