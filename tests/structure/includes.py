# SPDX-License-Identifier: Apache-2.0
"""Holds every #include of src/ and include/ against the rooms table of cmake/MgrnRooms.cmake.

Usage: includes.py ROOT. Three rules:
1. a room includes only itself and the rooms that its line of the table names;
2. a header in src/ is private to its room;
3. outside packages whose use is kept in one place are included only by the rooms in OUTSIDE.
"""

import pathlib
import re
import sys

import source_tree

# An outside header, the rooms that may include it, and the reason. The first match counts.
OUTSIDE = (
    (r"(mpi|nccl)\.h", ("comm",), "only comm speaks to other ranks"),
    (r"hdf5(_hl)?\.h|H5[A-Z]\w*\.h", ("formats", "comm", "store"), "HDF5 is wrapped once, in formats"),
    (r"(torch|ATen|c10)/.*", ("model", "baselines"), "LibTorch is a matter of the networks"),
    (r"cuda.*|cublas.*|nvml\.h", ("model", "comm"), "devices are a matter of the model and of comm's binding"),
    # cli reads version.h files for --version.
    (r"zlib\.h", ("formats", "store", "cli"), "compression is wrapped once, in formats; store takes its CRC"),
    (r"openssl/.*", ("base", "cli"), "checksums are made in base"),
    (r"spdlog/.*", ("base", "cli"), "base writes the log"),
    (r"boost/math/.*", ("evaluate",), "distributions are for statistics"),
    (r"boost/(?!math/).*", ("cli",), "only the command line uses the rest of Boost"),
)
# What a public header may not show to those who include it.
NOT_IN_PUBLIC_HEADERS = r"(fmt|spdlog|boost|torch|ATen|c10)/.*|mpi\.h|nccl\.h"

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)
SOURCE = re.compile(r".*\.(cpp|hpp|h|cu|cuh|inc|ipp)$")


def rooms_table(root):
    """{room: rooms it may include}, read from the CMake file that linking follows."""
    cmake = (pathlib.Path(root) / "cmake/MgrnRooms.cmake").read_text(encoding="utf-8")
    rooms = re.search(r"^set\(MGRN_ROOMS\s+([^)]*)\)", cmake, re.MULTILINE).group(1).split()
    table = {}
    for room in rooms:
        line = re.search(rf"^set\(MGRN_MAY_INCLUDE_{room}\b([^)]*)\)", cmake, re.MULTILINE)
        if line is None:
            raise SystemExit(f"cmake/MgrnRooms.cmake: room '{room}' has no line MGRN_MAY_INCLUDE_{room}")
        table[room] = line.group(1).split()
    # main() may include the command line and what every room stands on.
    table["program"] = ["base", "comm", "cli"]
    return table


def room_of(path):
    """The room that a file lies in, and whether it is one of the room's public headers."""
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1], False
    if parts[:2] == ["include", "multigrnformer"] and len(parts) > 3:
        return parts[2], True
    return None, parts[0] == "include"


def resolve(root, path, name):
    """The project's file that `name`, included by `path`, means; None for an outside header."""
    room, _ = room_of(path)
    for base in (pathlib.PurePosixPath(path).parent, "include", "src", f"src/{room}"):
        candidate = pathlib.Path(root) / base / name
        if candidate.is_file():
            return candidate.resolve().relative_to(pathlib.Path(root).resolve()).as_posix()
    return None


def check_own(path, name, target, table):
    room, public = room_of(path)
    other, target_is_public = room_of(target)
    if other != room and other not in table[room]:
        return f"room '{room}' may not include room '{other}' ({name}); allowed: {' '.join(table[room]) or 'none'}"
    if other != room and not target_is_public:
        return f"{name} is private to room '{other}'"
    if public and not target_is_public:
        return f"a public header includes the private header {name}"
    return None


def check_outside(path, name):
    room, public = room_of(path)
    if public and re.fullmatch(NOT_IN_PUBLIC_HEADERS, name):
        return f"a public header may not include <{name}>"
    for pattern, allowed, reason in OUTSIDE:
        if re.fullmatch(pattern, name):
            if room not in allowed:
                return f"<{name}> is for {', '.join(allowed)}: {reason}"
            return None
    return None


def problems(root):
    """(problems, number of files checked)."""
    table = rooms_table(root)
    found, checked = [], 0
    for path in source_tree.files(root):
        if not path.startswith(("src/", "include/")) or not SOURCE.fullmatch(path):
            continue
        checked += 1
        room, _ = room_of(path)
        if room not in table:
            found.append(f"{path}: lies in no room of cmake/MgrnRooms.cmake")
            continue
        text = source_tree.text(root, path) or ""
        for match in INCLUDE.finditer(text):
            name = match.group(1) or match.group(2)
            line = text.count("\n", 0, match.start(1 if match.group(1) else 2)) + 1
            target = resolve(root, path, name)
            if target is not None:
                problem = check_own(path, name, target, table)
            elif match.group(2) or name.startswith("multigrnformer/"):
                problem = f'"{name}" is no file of the project; outside headers go in <>'
            else:
                problem = check_outside(path, name)
            if problem:
                found.append(f"{path}:{line}: {problem}")
    return found, checked


if __name__ == "__main__":
    sys.exit(source_tree.report(*problems(source_tree.root_from_arguments())))
