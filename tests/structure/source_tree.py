# SPDX-License-Identifier: Apache-2.0
"""The files of the project, for the checks beside this file. Standard library only."""

import os
import pathlib
import sys

# Folders that hold what people wrote; build trees and data lie elsewhere.
FOLDERS = (".ci", "cmake", "configs", "docs", "include", "launch", "slurm", "src", "tests", "tools", "man", "spack")


def files(root):
    """Every file of the project below `root`, as paths relative to it with forward slashes, sorted."""
    root = pathlib.Path(root)
    found = [entry.name for entry in root.iterdir() if entry.is_file()]
    for folder in FOLDERS:
        for directory, subdirectories, names in os.walk(root / folder):
            subdirectories[:] = [name for name in subdirectories if name != "__pycache__"]
            relative = pathlib.Path(directory).relative_to(root).as_posix()
            found += [f"{relative}/{name}" for name in names]
    return sorted(found)


def text(root, path):
    """The file's text, or None for one that is not text (a golden HDF5 file, a compressed one)."""
    content = (pathlib.Path(root) / path).read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def report(problems, checked):
    """Prints the problems, one a line, and gives the exit status. To have checked nothing is a problem too."""
    if not checked:
        problems = problems + ["no file was checked"]
    for problem in problems:
        print(problem)
    print(f"{checked} files checked, {len(problems)} problems")
    return 1 if problems else 0


def root_from_arguments():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit(f"usage: {sys.argv[0]} ROOT")
    return sys.argv[1]
