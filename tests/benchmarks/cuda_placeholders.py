#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Placeholders for the CUDA libraries without which `import torch` fails.

    cuda_placeholders.py TORCH_LIB OUT

PyTorch's wheel on the package index is the CUDA one. Importing it loads cuBLAS, cuDNN, NCCL and more, over
2 GB of wheels of which a run on the CPU calls nothing. For each library that TORCH_LIB needs, and that is
neither in TORCH_LIB nor in the wheels nvidia-cuda-runtime and nvidia-cuda-cupti beside it, OUT gets one of the
same name with the same symbols; each of them ends the process, should anything ever call it.
"""
import collections
import pathlib
import re
import subprocess
import sys

# Libraries by what their symbols begin with, for those whose symbols carry no version.
BY_PREFIX = {"libnccl.so.2": r"p?nccl", "libcurand.so.10": "curand", "libcusparseLt.so.0": "cusparseLt",
             "libcufile.so.0": "cuFile"}
BY_VERSION = {"NVSHMEM": "libnvshmem_host.so.3"}
CUDA = re.compile(r"lib(cublas|cublasLt|cudnn|cufft|cufile|curand|cusolver|cusparse|cusparseLt|nccl|nvJitLink|nvshmem_host)"
                  r"\.so\.\d+")


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def missing_libraries(users):
    needed = {name for path in users for name in re.findall(r"NEEDED\s+(\S+)", output_of("objdump", "-p", str(path)))}
    return sorted(name for name in needed if CUDA.fullmatch(name))


def undefined_symbols(users):
    """{version: names}; the version is empty where a symbol carries none."""
    symbols = collections.defaultdict(set)
    for path in users:
        for line in output_of("nm", "-D", "--undefined-only", "--with-symbol-versions", str(path)).splitlines():
            name, _, version = line.split()[-1].partition("@")
            symbols[version.lstrip("@")].add(name)
    return symbols


def write_library(out, library, version, names):
    source, script = out / f"{library}.c", out / f"{library}.map"
    body = ['#include <stdio.h>', '#include <stdlib.h>',
            f'static void refuse(void) {{ fputs("{library} is a placeholder: CPU only\\n", stderr); abort(); }}']
    body += [f"void {name}(void) {{ refuse(); }}" for name in sorted(names)]
    source.write_text("\n".join(body) + "\n")
    command = ["cc", "-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{library}", "-o", str(out / library), str(source)]
    if version:
        script.write_text(f"{version} {{ global: *; }};\n")
        command.append(f"-Wl,--version-script,{script}")
    subprocess.run(command, check=True)
    source.unlink()
    script.unlink(missing_ok=True)


def main(torch_lib, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    # Linear algebra on devices is opened on demand, never by a run on the CPU.
    users = [path for path in pathlib.Path(torch_lib).glob("*.so*") if path.name != "libtorch_cuda_linalg.so"]
    symbols = undefined_symbols(users)
    version_of = {library: version for version, library in BY_VERSION.items()}
    for library in missing_libraries(users):
        version = version_of.get(library, library if library in symbols else "")
        names = set(symbols[version]) if version else set()
        if library in BY_PREFIX:
            names |= {name for name in symbols[""] if re.match(BY_PREFIX[library], name)}
        write_library(out, library, version, names)
        print(f"{library}: {len(names)} symbols")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
