# SPDX-License-Identifier: Apache-2.0
"""Holds what ptxas said of the CUDA kernels: no spilled register, no stack frame. Usage: ptxas_log.py LOG...

Prints registers per kernel and architecture. A kernel that spills keeps its accumulators in memory and is
several times slower, without any other sign.
"""

import pathlib
import re
import subprocess
import sys

KERNEL = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


def readable(name):
    """The body's name: run_body<mgrn::model::cuda::Encode<4> > becomes Encode<4>."""
    try:
        text = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return name
    found = re.search(r"run_body<(.*)>\(", text)
    return re.sub(r"mgrn::model::cuda::|\(int\)", "", found.group(1)).strip() if found else text


def main(logs):
    kernels, problems = {}, []
    for log in logs:
        current = None
        for line in pathlib.Path(log).read_text(encoding="utf-8").split("\n"):
            if found := KERNEL.search(line):
                current = (readable(found.group(1)), found.group(2))
                kernels[current] = {}
            elif current and (found := FRAME.search(line)):
                kernels[current]["frame"] = tuple(int(number) for number in found.groups())
            elif current and (found := USED.search(line)):
                kernels[current]["registers"] = int(found.group(1))
    for (name, architecture), facts in sorted(kernels.items()):
        print(f"{name:24} {architecture:8} {facts.get('registers', '?'):>4} registers")
        if facts.get("frame") != (0, 0, 0):
            problems.append(f"{name} {architecture}: stack frame, spill stores, spill loads: {facts.get('frame')}")
    names = {name for name, _ in kernels}
    for needed in ("Encode<4>", "EncodeBackward<4>", "LossOfSamples", "LossOfUnits", "SumSamples", "AddFixedPoint", "Gather", "AddSums", "TakeGradient",
                   "MoveWeights"):
        if needed not in names:
            problems.append(f"the logs do not speak of {needed}")
    for problem in problems:
        print("error:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
