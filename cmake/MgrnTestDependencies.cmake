# SPDX-License-Identifier: Apache-2.0
# What only the tests need; adds to MGRN_MISSING.
find_package(GTest 1.10 QUIET)
if(NOT TARGET GTest::gtest_main)
  mgrn_note_missing("GoogleTest 1.10 or newer" "libgtest-dev libgmock-dev"
                    "module googletest, or GTest_DIR, or -DBUILD_TESTING=OFF")
endif()

# The checks of the source tree are Python with nothing but its standard library.
find_package(Python3 3.9 QUIET COMPONENTS Interpreter)

# Tests that hold our numbers against independent libraries (numpy, scipy, scikit-learn, h5py) run this
# interpreter, and skip with a reason where none is given. launch/test.sh makes one.
set(MGRN_TEST_PYTHON "" CACHE FILEPATH "Python with numpy, scipy, scikit-learn and h5py, for tests; may be empty")
