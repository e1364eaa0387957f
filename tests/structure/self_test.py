# SPDX-License-Identifier: Apache-2.0
"""The checks themselves: each must fail on a tree that breaks its rule, and pass on one that does not."""

import pathlib
import tempfile
import unittest

import fault_cases
import includes
import source_rules

ROOMS = """set(MGRN_ROOMS base comm pairs model)
set(MGRN_MAY_INCLUDE_base)
set(MGRN_MAY_INCLUDE_comm base)
set(MGRN_MAY_INCLUDE_pairs base)
set(MGRN_MAY_INCLUDE_model base)
"""
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("cmake/MgrnRooms.cmake", "# SPDX-License-Identifier: Apache-2.0\n" + ROOMS)
        self.write("include/multigrnformer/base/error.hpp", LICENCE)
        self.write("include/multigrnformer/pairs/split.hpp", LICENCE)
        self.write("src/pairs/inside.hpp", LICENCE)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def source(self, path, *lines):
        self.write(path, LICENCE + "\n".join(lines) + "\n")

    def expect(self, check, *parts):
        """Each part stands in one problem, in this order, and there are no others."""
        found, checked = check.problems(self.root)
        self.assertGreater(checked, 0)
        self.assertEqual(len(found), len(parts), found)
        for problem, part in zip(found, parts):
            self.assertIn(part, problem)


class Includes(Tree):
    def test_a_tree_that_keeps_the_rules_passes(self):
        self.source("src/comm/mpi.cpp", "#include <mpi.h>", "#include <vector>", '#include "multigrnformer/base/error.hpp"')
        self.source("src/pairs/split.cpp", '#include "inside.hpp"', '#include "pairs/inside.hpp"')
        self.expect(includes)

    def test_a_room_off_the_table_is_named_with_its_line(self):
        self.source("src/model/a.cpp", "", '#include "multigrnformer/pairs/split.hpp"')
        self.expect(includes, "src/model/a.cpp:3: room 'model' may not include room 'pairs'")

    def test_angle_brackets_do_not_hide_a_room(self):
        self.source("src/model/a.cpp", "#  include <multigrnformer/pairs/split.hpp>")
        self.expect(includes, "may not include room 'pairs'")

    def test_a_path_upwards_does_not_hide_a_room(self):
        self.source("src/model/a.cpp", '#include "../pairs/inside.hpp"')
        self.expect(includes, "may not include room 'pairs'")

    def test_private_headers_stay_private(self):
        self.write("src/base/inside.hpp", LICENCE)
        self.source("src/model/a.cpp", '#include "base/inside.hpp"')
        self.source("include/multigrnformer/pairs/shows.hpp", '#include "pairs/inside.hpp"')
        self.expect(includes, "a public header includes the private header", "is private to room 'base'")

    def test_outside_packages_stay_in_their_rooms(self):
        self.source("src/model/a.cpp", "#include <mpi.h>", "#include <hdf5.h>", "#include <torch/torch.h>")
        self.source("src/pairs/b.cpp", "#include <ATen/ops/add.h>", "#include <H5Dpublic.h>")
        self.expect(includes, "<mpi.h> is for comm", "<hdf5.h> is for formats", "<ATen/ops/add.h> is for model",
                    "<H5Dpublic.h> is for formats")

    def test_public_headers_show_no_logging_library(self):
        self.source("include/multigrnformer/base/log.hpp", "#include <spdlog/spdlog.h>", "#include <fmt/core.h>")
        self.expect(includes, "may not include <spdlog/spdlog.h>", "may not include <fmt/core.h>")

    def test_an_include_of_nothing_and_a_file_in_no_room_are_problems(self):
        self.source("src/model/a.cpp", '#include "multigrnformer/model/gone.hpp"')
        self.source("src/attic/a.cpp")
        self.expect(includes, "lies in no room", "is no file of the project")


class SourceRules(Tree):
    def test_a_tree_that_keeps_the_rules_passes(self):
        self.source("src/base/environment.cpp", 'const char* value = std::getenv("A");')
        self.source("src/base/a.cpp", "// getenv( is called elsewhere", "int environment(int);")
        self.write("docs/a.md", "See https://example.org/work/ and ${HOME}/work/x and ./root/a and network/work.\n")
        self.expect(source_rules)

    def test_a_missing_licence_is_a_problem(self):
        self.write("src/base/a.cpp", "int a;\n")
        self.write("src/base/CMakeLists.txt", "add_library(a)\n")
        self.expect(source_rules, "src/base/CMakeLists.txt:1: no line", "src/base/a.cpp:1: no line")

    def test_reading_the_environment_elsewhere_is_a_problem(self):
        self.source("src/model/a.cpp", "/* a", "b */", 'auto a = std::getenv("A");')
        self.expect(source_rules, "src/model/a.cpp:4: the environment is read in")

    def test_a_path_of_a_machine_is_a_problem(self):
        self.write("docs/a.md", "first\nlook in /" + "home/somebody/data\n")
        self.write("configs/a.ini", "# SPDX-License-Identifier: Apache-2.0\nout = /" + "root/x\n")
        self.expect(source_rules, "configs/a.ini:2: a path of one machine", "docs/a.md:2: a path of one machine")


class FaultCases(Tree):
    HEAD = "| what happens | what becomes of the run | test |\n|---|---|---|\n"

    def table(self, *rows):
        self.write("docs/faults.md", self.HEAD + "\n".join(rows) + "\n")
        self.write("tests/faults/CMakeLists.txt", "# " + LICENCE + "mgrn_add_drill_test(restarted_runs)\n")
        self.source("tests/faults/restarted_runs_test.cpp", "TEST(Killed, GoesOn) {}", "TEST_P(Stop, Stops) {}",
                    'Signals{"on_one_rank"}')

    def test_a_row_whose_test_exists_passes(self):
        self.table("| a kill | I | `restarted_runs` Killed.GoesOn |",
                   "| a signal | 75 | `restarted_runs` Stop.Stops (on_one_rank) |")
        self.expect(fault_cases)

    def test_a_row_without_its_test_is_named(self):
        self.table("| a kill | I | `restarted_runs` Killed.GoesUnder |",
                   "| a signal | 75 | `restarted_runs` Stop.Stops (on_two_ranks) |",
                   "| a wave | I | `no_such_test` Killed.GoesOn |",
                   "| a whim | I | none |",
                   "| a signal | 75 | `restarted_runs` Stop.Stops (on_one_rank) |")
        self.expect(fault_cases, ":3: there is no case Killed.GoesUnder", ':4: Stop.Stops has no "on_two_ranks"',
                    ":5: CTest has no no_such_test", ":6: no test in the last column")


if __name__ == "__main__":
    unittest.main()
