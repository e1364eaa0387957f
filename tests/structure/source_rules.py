# SPDX-License-Identifier: Apache-2.0
"""Rules that hold for the text of every file of the project. Usage: source_rules.py ROOT.

1. the licence stands in the first lines of every source, script and CMake file;
2. environment variables are read in src/base/environment.cpp and nowhere else in the program;
3. no path of somebody's machine.
"""

import re
import sys

import source_tree

NEEDS_LICENCE = re.compile(r".*\.(cpp|hpp|h|cu|cuh|cmake|py|sh|supp|ini|sbatch)$|(.*/)?CMakeLists\.txt$|\.ci/run$")
LICENCE = "SPDX-License-Identifier: Apache-2.0"

PROGRAM_SOURCE = re.compile(r"(src|include)/.*\.(cpp|hpp|h|cu|cuh)$")
ENVIRONMENT_HOME = "src/base/environment.cpp"
READS_ENVIRONMENT = re.compile(r"\b(secure_getenv|getenv|environ)\b\s*(\(|\[|;)")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)

# Folders that exist on one machine only. Written in pieces, so that this file passes its own check.
MACHINE_PATH = re.compile("(?<![\\w.$}/-])/" + "(work|root|home/\\w+|Users/\\w+|mnt/\\w+)(?![\\w-])")


def without_comments(text):
    """The code alone; comments leave their line ends behind, so that line numbers stay."""
    return COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)


def problems(root):
    """(problems, number of files checked)."""
    found, checked = [], 0
    for path in source_tree.files(root):
        text = source_tree.text(root, path)
        if text is None:
            continue
        checked += 1
        if NEEDS_LICENCE.fullmatch(path) and LICENCE not in "\n".join(text.split("\n")[:3]):
            found.append(f"{path}:1: no line '{LICENCE}'")
        if PROGRAM_SOURCE.fullmatch(path) and path != ENVIRONMENT_HOME:
            for number, line in enumerate(without_comments(text).split("\n"), 1):
                if READS_ENVIRONMENT.search(line):
                    found.append(f"{path}:{number}: the environment is read in {ENVIRONMENT_HOME} only")
        for number, line in enumerate(text.split("\n"), 1):
            match = MACHINE_PATH.search(line)
            if match:
                found.append(f"{path}:{number}: a path of one machine: {match.group()}")
    return found, checked


if __name__ == "__main__":
    sys.exit(source_tree.report(*problems(source_tree.root_from_arguments())))
