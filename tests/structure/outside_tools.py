# SPDX-License-Identifier: Apache-2.0
"""Runs clang-format or shellcheck over the project. Usage: outside_tools.py {clang-format|shellcheck} ROOT.

Exit status 77 is a skip, with its reason: the tool is not here, or is not the version the project is written
for (another clang-format formats differently).
"""

import re
import shutil
import subprocess
import sys

import source_tree

SKIPPED = 77
CLANG_FORMAT_VERSION = "14"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def clang_format():
    for name in (f"clang-format-{CLANG_FORMAT_VERSION}", "clang-format"):
        tool = shutil.which(name)
        if tool:
            version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"version {CLANG_FORMAT_VERSION}\.", version):
                return tool
    return skip(f"no clang-format {CLANG_FORMAT_VERSION} here")


def check_format(root):
    paths = [path for path in source_tree.files(root) if re.fullmatch(r"(src|include|tests)/.*\.(cpp|hpp|h|cu|cuh)", path)]
    done = subprocess.run([clang_format(), "--dry-run", "--Werror", *paths], cwd=root, capture_output=True, text=True)
    wrong = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error:", done.stderr, re.MULTILINE)))
    problems = [f"{path}: not as clang-format {CLANG_FORMAT_VERSION} writes it" for path in wrong]
    if done.returncode and not problems:
        problems = [done.stderr]
    return source_tree.report(problems, len(paths))


def check_scripts(root):
    tool = shutil.which("shellcheck")
    if tool is None:
        skip("no shellcheck here")
    paths = []
    for path in source_tree.files(root):
        first = (source_tree.text(root, path) or "").split("\n", 1)[0]
        if re.fullmatch(r".*\.(sh|sbatch)", path) or re.match(r"#!.*\b(ba)?sh\b", first):
            paths.append(path)
    done = subprocess.run([tool, "--external-sources", "--format=gcc", *paths], cwd=root, capture_output=True, text=True)
    problems = (done.stdout + done.stderr).splitlines()
    return source_tree.report(problems, len(paths))


if __name__ == "__main__":
    checks = {"clang-format": check_format, "shellcheck": check_scripts}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    sys.exit(checks[sys.argv[1]](sys.argv[2]))
