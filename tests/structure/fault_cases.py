# SPDX-License-Identifier: Apache-2.0
"""The table of faults in docs/faults.md against the tests. Usage: fault_cases.py ROOT.

Every row ends with `CTEST NAME` Suite.Name, or Suite.Name (word): CTest must have that test (a call of
mgrn_add_..._test), and one source of tests must hold that case and the word.
"""

import re
import sys

import source_tree

TABLE = "docs/faults.md"
ROW = re.compile(r"\|[^|]*\|[^|]*\|([^|]*)\|")
TEST = re.compile(r" `(\w+)` (\w+)\.(\w+)(?: \(([^)]*)\))? ")
CASE = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
REGISTERED = re.compile(r"\bmgrn_add_\w*test\((\w+)")
LEAST = 60


def problems(root):
    """(problems, number of cases checked)."""
    registered, sources = set(), {}
    for path in source_tree.files(root):
        if not path.startswith("tests/"):
            continue
        text = source_tree.text(root, path) or ""
        if path.endswith("CMakeLists.txt"):
            registered.update(REGISTERED.findall(text))
        elif path.endswith((".cpp", ".hpp")):
            for case in CASE.findall(text):
                sources.setdefault(case, []).append(text)
    found, checked = [], 0
    for number, line in enumerate((source_tree.text(root, TABLE) or "").split("\n"), 1):
        row = ROW.fullmatch(line)
        if row is None or row.group(1).strip() in ("test", "---"):
            continue
        test = TEST.fullmatch(row.group(1))
        if test is None:
            found.append(f"{TABLE}:{number}: no test in the last column")
            continue
        checked += 1
        name, suite, case, word = test.groups()
        if name not in registered:
            found.append(f"{TABLE}:{number}: CTest has no {name}")
        texts = sources.get((suite, case), [])
        if not texts:
            found.append(f"{TABLE}:{number}: there is no case {suite}.{case}")
        elif word and not any(f'"{word}"' in text for text in texts):
            found.append(f"{TABLE}:{number}: {suite}.{case} has no \"{word}\"")
    return found, checked


if __name__ == "__main__":
    found, checked = problems(source_tree.root_from_arguments())
    if checked < LEAST:
        found.append(f"{checked} cases, expected {LEAST} or more")
    for problem in found:
        print(problem)
    print(f"{checked} cases of faults, {len(found)} problems")
    sys.exit(1 if found else 0)
