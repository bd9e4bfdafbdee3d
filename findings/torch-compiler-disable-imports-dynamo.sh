#!/usr/bin/env bash
# torch 2.13.0: decorating a function with torch.compiler.disable imports the whole compiler.
#
# Guess: the decorator marks the function for a compiler that may never run, so it costs nothing where nobody compiles.
# Behaviour: applying it imports torch._dynamo and with it hundreds of modules, sympy among them, which "import torch" alone
# does not load. A library that has one such decorator at module level makes its own import about as slow as torch's.
# Remedy: decorate inside the function that is called, on first use.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PY'
import sys
import time

import torch

print("torch", torch.__version__)
before = set(sys.modules)
compiler = ("torch._dynamo", "sympy")
assert not before & set(compiler), f"import torch alone loads {sorted(before & set(compiler))} now"
start = time.perf_counter()


@torch.compiler.disable
def double(x):
    return x + x


seconds = time.perf_counter() - start
added = set(sys.modules) - before
print(f"one decorated function, never compiled: {len(added)} more modules in {seconds:.2f} s")
print("torch._dynamo loaded:", "torch._dynamo" in added, "- sympy loaded:", "sympy" in added)
assert set(compiler) <= added and len(added) > 300, "the decorator imports less than it did"
PY
