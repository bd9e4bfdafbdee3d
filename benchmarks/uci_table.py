"""The UCI regression table of Gal & Ghahramani 2016 on their own splits, every network a member of a `tn.Stack`.

Network as theirs: one hidden layer of 50 ReLU units (100 for protein) with dropout, predictions by MC dropout, targets
and inputs standardised by the training rows. Every strength is found on the training rows alone, by one recipe for all
sets. For each split one stack trains all `CANDIDATES` times all inner folds (a member sees the rows outside its fold).
Each candidate's out-of-fold samples give a predictive density of every training row for several noises 1/tau;
`greedy_selection` weighs the candidates by out-of-fold log-likelihood, the noise chosen with them. The prediction is
the mixture of those candidates' fold networks, all sampled at once by the stack in training mode: an ensemble of
MC-dropout networks, where the published figures are of one such network.

Log-likelihood as in the authors' code: log of the mean over samples of N(y; prediction, 1/tau), original units.
A finished split is one JSON line in `--out`; killed at any moment, the same command goes on after the last line. The
table is made of the lines. Published figures: the results folder of each set (their grid search, 4000 epochs).

Usage: python benchmarks/uci_table.py [--sets NAME ...] [--out FILE] [--threads 1]
with `THINNET_DATA` set to the folder that holds `uci_regression`. `--sets` with no names trains nothing and prints the
table.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import thinnet as tn
from machine import describe
from thinnet.ensemble import greedy_selection

DATA = Path(os.environ.get("THINNET_DATA", "../shared/data")) / "uci_regression"
FOLDERS = {  # in rising order of cost
    "yacht": "yacht",
    "boston": "bostonHousing",
    "energy": "energy",
    "concrete": "concrete",
    "wine": "wine-quality-red",
    "kin8nm": "kin8nm",
    "power": "power-plant",
    "naval": "naval-propulsion-plant",
    "protein": "protein-tertiary-structure",
}
PUBLISHED = "{}_100_xepochs_1_hidden_layers.txt"

# dropout, learning rate, decay: over the whole training weights shrink to exp(−decay / 2)
Candidate = tuple[float, float, float]
CANDIDATES: list[Candidate] = [
    (0.0, 0.02, 0.1),
    (0.0, 0.005, 0.1),
    (0.01, 0.02, 0.1),
    (0.05, 0.02, 0.1),
    (0.05, 0.005, 2.0),
    (0.15, 0.005, 2.0),
]
STEPS, EPOCHS, LONGER, WARM_UP = 3000, 75, {"naval": 150, "protein": 200}, 200
"""A training takes so many steps, or so many epochs where that is more; the first steps warm up. On two sets
the out-of-fold log-likelihood still rose with the length."""
FEW, MANY = (10, CANDIDATES), (4, CANDIDATES[:4])
"""Folds and candidates below 2000 rows, where every network needs nearly all rows, and above, where time is dear: the
strongly regularized ones were never chosen there out of fold."""
NOISES = np.geomspace(0.2, 1.3, 24)
"""Standard deviations of the noise to choose from, in units of the best candidate's out-of-fold RMSE."""
FOLD_SAMPLES, TEST_SAMPLES = 50, 100
"""MC samples of a network, out of fold and on the test rows; a candidate has as many of the latter a fold."""


@dataclass(frozen=True)
class Split:
    """Training and test rows, standardised by the training rows; `scale` is the unit of the targets."""

    x_ND: Tensor
    y_N: Tensor
    x_test_MD: Tensor
    y_test_M: Tensor
    scale: float
    hidden: int


def read(name: str, number: int) -> Split:
    """Split `number` of the set, as published."""
    folder = DATA / FOLDERS[name] / "data"

    def numbers(file: str, dtype: type = int) -> NDArray[Any]:
        return np.loadtxt(folder / f"{file}.txt", dtype=dtype)

    table, train = numbers("data", float), numbers(f"index_train_{number}")
    mean, std = table[train].mean(0), table[train].std(0)
    table_s = torch.from_numpy((table - mean) / np.where(std > 0, std, 1)).float()
    x, y = table_s[:, numbers("index_features")], table_s[:, int(numbers("index_target"))]
    test = numbers(f"index_test_{number}")
    scale = float(std[int(numbers("index_target"))])
    return Split(x[train], y[train], x[test], y[test], scale, int(numbers("n_hidden")))


def train(split: Split, fold_N: Tensor, candidates: list[Candidate], epochs: int, seed: int) -> tn.Stack:
    """A trained stack: member `f * candidates + c` is candidate c trained without fold f."""
    rows, folds, generator = len(split.y_N), int(fold_N.max()) + 1, torch.Generator().manual_seed(seed)
    batch = min(max(rows // 16, 32), 256)
    steps = max(STEPS, epochs * rows // batch)
    members = [
        tn.Member(seed=1000 * seed + k, lr=lr, rule=tn.WeightDecay(decay / (lr * steps)), dropout=p)
        for k, (p, lr, decay) in enumerate(candidates * folds)
    ]
    fold_K = torch.arange(folds).repeat_interleave(len(candidates))
    stack = tn.Stack(members, in_features=split.x_ND.shape[1], hidden=[split.hidden], out_features=1)
    optimizer = tn.StackAdam(stack, betas=(0.9, 0.99))
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < batch:
            order = torch.randperm(rows, generator=generator)
        index, order = order[:batch], order[batch:]
        seen_KB = (fold_N[index] != fold_K.unsqueeze(-1)).float()
        loss_K = tn.stack_squared_error(stack(split.x_ND[index]), split.y_N[index], seen_KB)
        optimizer.zero_grad()
        loss_K.sum().backward()  # type: ignore[no-untyped-call]
        rise, fall = min(1.0, (step + 1) / WARM_UP), (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = rise * fall
        optimizer.step()
    return stack


@torch.no_grad()
def sample(stack: tn.Stack, x_ND: Tensor, samples: int, members: slice = slice(None)) -> Tensor:
    """Predictions (S, K, N) of the networks that dropout makes of these members, each draw with masks of its own."""
    stack.train()
    return torch.stack([stack(x_ND, members)[..., 0] for _ in range(samples)])


def log_density(error: Tensor, noise: float) -> Tensor:
    """Log of the mean over samples of N(error; 0, noise²), of the shape of one sample."""
    log = (error / noise).square().mul_(-0.5).logsumexp(0)
    return log.double() - math.log(len(error) * noise * math.sqrt(2 * math.pi))


def best_noise(density_MNT: NDArray[np.float64], _: object) -> NDArray[np.float64]:
    """Minus the log-likelihood of each mixture at its best noise, for `greedy_selection`."""
    loss: NDArray[np.float64] = -np.log(density_MNT).mean(1).max(-1)
    return loss


def run(name: str, number: int) -> dict[str, Any]:
    """Train, choose and predict one split: its line."""
    start, split = time.process_time(), read(name, number)
    folds, candidates = FEW if len(split.y_N) < 2000 else MANY
    count = len(candidates)
    generator = torch.Generator().manual_seed(number)
    fold_N = torch.randperm(len(split.y_N), generator=generator) % folds
    stack = train(split, fold_N, candidates, LONGER.get(name, EPOCHS), seed=number)

    # out-of-fold errors of every candidate
    error_SCN = torch.empty(FOLD_SAMPLES, count, len(fold_N))
    for f in range(folds):
        held_out = (fold_N == f).nonzero().flatten()
        predicted = sample(stack, split.x_ND[held_out], FOLD_SAMPLES, slice(f * count, (f + 1) * count))
        error_SCN[..., held_out] = predicted - split.y_N[held_out]
    noises = NOISES * float(error_SCN.mean(0).square().mean(-1).sqrt().min())
    log_CNT = torch.stack([log_density(error_SCN, noise) for noise in noises], -1)
    # a row far from all samples has a density that is zero in floating point
    density_CNT = log_CNT.exp().clamp_min(1e-300).numpy()
    weights = greedy_selection(density_CNT, fold_N.numpy(), best_noise, rounds=25)
    mixture_NT = np.tensordot(weights, density_CNT, 1)
    noise = float(noises[np.log(mixture_NT).mean(0).argmax()])

    predicted = sample(stack, split.x_test_MD, TEST_SAMPLES)
    error_SCM = predicted.reshape(-1, count, len(split.y_test_M)) - split.y_test_M
    weight_C1 = torch.from_numpy(weights).unsqueeze(-1)
    mean_M = (weight_C1 * error_SCM.double().mean(0)).sum(0)
    log_M = (weight_C1.log() + log_density(error_SCM, noise)).logsumexp(0)
    to_units = math.log(split.scale)
    return {
        "set": name,
        "split": number,
        "rmse": split.scale * float(mean_M.square().mean().sqrt()),
        "log_likelihood": float(log_M.mean()) - to_units,
        "fold_log_likelihood": float(np.log(mixture_NT).mean(0).max()) - to_units,
        "tau": (split.scale * noise) ** -2,
        "weights": [round(float(w), 3) for w in weights],
        "folds": folds,
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def published(name: str, figure: str) -> list[float]:
    """The authors' figure of every split."""
    text = (DATA / FOLDERS[name] / "results" / PUBLISHED.format(figure)).read_text()
    return [float(word) for word in text.split()]


def finished(out: Path) -> list[dict[str, Any]]:
    """The lines of `out`; a last one that was cut off while it was written is dropped from the file."""
    text = out.read_bytes() if out.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(out, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def mean_and_error(values: list[float]) -> str:
    """Mean ± standard error, the latter with numpy's `std` as the authors have it."""
    return f"{np.mean(values):#.4g} ± {np.std(values) / math.sqrt(len(values)):#.2g}"


def table(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Markdown: our figures beside the published ones, split by split the same rows."""
    heads = ["set", "splits", "RMSE, published", "RMSE", "better on"]
    heads += ["log-likelihood, published", "log-likelihood", "better on", "mean dropout", "CPU min"]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for name in FOLDERS:
        ours = sorted((line for line in lines if line["set"] == name), key=lambda line: line["split"])
        if not ours:
            continue
        cells = [name, f"{len(ours)}"]
        for key, figure, sign in (("rmse", "test_MC_rmse", -1), ("log_likelihood", "test_ll", 1)):
            mine, all_theirs = [line[key] for line in ours], published(name, figure)
            theirs = [all_theirs[line["split"]] for line in ours]
            better = sum(sign * (a - b) > 0 for a, b in zip(mine, theirs, strict=True))
            cells += [mean_and_error(theirs), mean_and_error(mine), f"{better} of {len(mine)}"]
        dropout = np.mean(
            [np.dot(line["weights"], [p for p, _, _ in CANDIDATES[: len(line["weights"])]]) for line in ours]
        )
        minutes = sum(line["cpu_seconds"] for line in ours) / 60
        yield f"| {' | '.join([*cells, f'{dropout:.3f}', f'{minutes:.1f}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=list(FOLDERS), default=list(FOLDERS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("uci_table.jsonl"), help="one JSON line a finished split")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    missing = [folder for folder in FOLDERS.values() if not (DATA / folder / "data").is_dir()]
    if missing:
        sys.exit(
            f"uci_table: {DATA} has no {', '.join(missing)}; set THINNET_DATA to the folder that holds uci_regression."
        )
    torch.set_num_threads(args.threads)
    lines = finished(args.out)
    done = {(line["set"], line["split"]) for line in lines}
    sets = [name for name in FOLDERS if name in args.sets]
    work = [(name, number) for name in sets for number in range(len(published(name, "test_ll")))]
    with args.out.open("a") as file:
        for place, (name, number) in enumerate(work, 1):
            if (name, number) in done:
                continue
            line = run(name, number)
            file.write(json.dumps(line) + "\n")
            file.flush()
            figures = f"RMSE {line['rmse']:.4g}, log-likelihood {line['log_likelihood']:.3f}"
            print(f"{place}/{len(work)} {name} {number}: {figures}, {line['cpu_seconds']:.0f} s", flush=True)
            lines.append(line)
    print(describe(), *table(lines), sep="\n")


if __name__ == "__main__":
    main()
