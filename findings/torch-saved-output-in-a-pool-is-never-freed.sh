#!/usr/bin/env bash
# torch 2.13.0: a custom autograd Function that gives its saved output to a pool leaks, once two of them are chained.
#
# Guess: a cycle ctx -> pool -> saved output -> its autograd node -> ctx is one that Python's garbage collector finds, as
# tensors, nodes and contexts all take part in garbage collection; after backward the saved tensors are released anyway.
# Behaviour: with one Function in the graph the pool is collected. With two in a row it never is, nor are its buffers: the
# second node holds the first by a C++ reference, which the collector does not follow, so the cycle looks held from outside.
# Remedy: hand back tensor.detach(), which shares the memory and has no node.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PY'
import gc
import weakref

import torch


class Pool:
    """Buffers that one step leaves to the next."""

    def __init__(self):
        self.free = []


class Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, pool, detached):
        out = (x @ w).relu_()
        ctx.save_for_backward(x, w, out)
        ctx.pool, ctx.detached = pool, detached
        return out

    @staticmethod
    def backward(ctx, grad):
        x, w, out = ctx.saved_tensors
        dz = grad * (out > 0)
        ctx.pool.free.append(out.detach() if ctx.detached else out)
        return dz @ w.t(), x.t() @ dz, None, None


def freed(layers, detached):
    pool, h = Pool(), torch.randn(5, 10)
    for _ in range(layers):
        h = Layer.apply(h, torch.randn(10, 10, requires_grad=True), pool, detached)
    h.sum().backward()
    seen = weakref.ref(pool)
    del pool, h
    gc.collect()
    return seen() is None


print("torch", torch.__version__)
outcome = {(layers, detached): freed(layers, detached) for detached in (False, True) for layers in (1, 2, 3)}
for (layers, detached), free in outcome.items():
    what = "detached output" if detached else "saved output"
    print(f"{layers} in a row, pool holds the {what}: {'freed' if free else 'never freed'}")
assert outcome == {(n, d): d or n == 1 for n, d in outcome}, "the collector sees it differently now"
PY
