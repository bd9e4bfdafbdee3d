"""Feature selection on MICE protein and Isolet: `tn.path` beside LassoNet from PyPI, the same network, rows and judge.

Splits as in LassoNet's paper: 70 % training, 10 % validation, 20 % test rows, stratified; a split and a network's first
weights a seed. Missing cells (MICE) become the training rows' column mean; columns are standardised by the training
rows. Both select with one hidden layer of 100 ReLU units, see training and validation rows, and run turn by turn in one
process on one thread.

- LassoNet: `LassoNetClassifier` with its defaults (hidden_dims (100,), M 10, path multiplier 1.02, full batches, its
  own early stopping on the validation rows), `path()` until nothing is left. Features by when they leave.
- thinnet: `tn.path` with direction="down", `tn.GroupLasso(1.0, by="inputs")` on the first layer, 5 full-batch steps of
  Adam at 1e-2 as a round, up to 10 rounds a point, a patience of 3, and no averaging, as full batches have no noise;
  the same for both sets. "up" beside it. Features by when they leave.

In both, features that leave at one strength are ordered by their norm at the last point that had them. The judges never
saw the selection: ExtraTrees (500 trees) and a network of one hidden layer of 100 units (early stopping on the
validation rows), each trained anew on the k columns of the training rows, accuracy on the test rows.

A finished run is one JSON line in `--out`; killed at any moment, the same command goes on after the last line.

Usage: python benchmarks/feature_selection.py [--sets NAME ...] [--rows ROW ...] [--seeds 0 1 2] [--out FILE]
with `THINNET_DATA` set to the folder that holds `feature_selection`, and `pip install lassonet` for its row. `--rows`
with no names trains nothing and prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

import thinnet as tn
from machine import describe

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("THINNET_DATA", "../shared/data")) / "feature_selection"
HIDDEN, KEPT = 100, (10, 20, 50)


@dataclass(frozen=True)
class Split:
    """Training, validation and test rows, standardised by the training rows."""

    x_ND: Tensor
    y_N: Tensor
    x_val_VD: Tensor
    y_val_V: Tensor
    x_test_MD: Tensor
    y_test_M: Tensor

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.y_N.max()) + 1


def mice() -> tuple[NDArray[Any], NDArray[Any]]:
    """77 protein levels of 1080 samples; the class is what of 8 groups the mouse is in."""
    table = pd.read_csv(DATA / "Data_Cortex_Nuclear.csv")
    proteins = table.drop(columns=["MouseID", "Genotype", "Treatment", "Behavior", "class"])
    return proteins.to_numpy(float), pd.factorize(table["class"], sort=True)[0]


def isolet() -> tuple[NDArray[Any], NDArray[Any]]:
    """617 measurements of 1560 spoken letters, of 26."""
    table = loadmat(DATA / "Isolet.mat")
    return table["X"].astype(float), table["Y"].ravel().astype(int) - 1


SETS = {"mice": mice, "isolet": isolet}


def read(name: str, seed: int) -> Split:
    """The set, split at random."""
    x, y = SETS[name]()
    rest, test = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=seed)
    train, val = train_test_split(rest, test_size=0.125, stratify=y[rest], random_state=seed)
    mean = np.nanmean(x[train], 0)
    x = np.where(np.isnan(x), mean, x)
    std = x[train].std(0)
    x_s = torch.from_numpy((x - mean) / np.where(std > 0, std, 1)).float()
    target = torch.from_numpy(y).long()
    return Split(x_s[train], target[train], x_s[val], target[val], x_s[test], target[test])


def order(left_D: Tensor, norm_D: Tensor) -> list[int]:
    """Features from the last that leaves to the first; those that leave together by norm."""
    return [int(i) for i in np.lexsort((-norm_D.numpy(), -left_D.numpy()))]


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


STEPS, LEARNING_RATE = 5, 1e-2
"""Of the path: full-batch steps of Adam in a round."""

ROUNDS, PATIENCE = 10, 3
"""Of a point. All else is `tn.path`'s default. See the results for the choice."""


def ours(split: Split, seed: int, direction: Literal["up", "down"] = "down") -> list[int]:
    """Features by `tn.path`."""
    torch.manual_seed(seed)

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            cross_entropy(model(split.x_ND), split.y_N).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    path = tn.path(
        lambda: network(split.x_ND.shape[1], split.classes),
        tn.Plan({"0.weight": tn.GroupLasso(1.0, by="inputs")}),
        fit,
        lambda model: float(cross_entropy(model(split.x_val_VD), split.y_val_V)),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=LEARNING_RATE),
        direction=direction,
        rounds=ROUNDS,
        patience=PATIENCE,
        average=0,
    )
    norm_D = torch.zeros(split.x_ND.shape[1])
    for point in sorted(path.points, key=lambda point: point.strength):
        now_D = point.state()["0.weight"].norm(dim=0)
        norm_D = torch.where(now_D > 0, now_D, norm_D)
    return order(path.leaves("0.weight"), norm_D)


def lassonet(split: Split, seed: int) -> list[int]:
    """Features by LassoNet's own path."""
    from lassonet import LassoNetClassifier

    norm_D = torch.zeros(split.x_ND.shape[1])

    def keep(net: Any, _: object) -> None:
        now_D = net.model.skip.weight.detach().norm(dim=0)
        norm_D.copy_(torch.where(now_D > 0, now_D, norm_D))

    net = LassoNetClassifier(hidden_dims=(HIDDEN,), M=10, verbose=0, torch_seed=seed, device=torch.device("cpu"))
    net.path(
        split.x_ND.numpy(),
        split.y_N.numpy(),
        X_val=split.x_val_VD.numpy(),
        y_val=split.y_val_V.numpy(),
        callback=keep,
        disable_lambda_warning=True,
    )
    return order(torch.as_tensor(net.feature_importances_), norm_D)


ROWS: dict[str, Callable[[Split, int], list[int]]] = {
    "LassoNet": lassonet,
    "thinnet": ours,
    "thinnet, up": partial(ours, direction="up"),
}


def trees(split: Split, columns: list[int], seed: int) -> tuple[float, float]:
    """Accuracy of ExtraTrees on the columns: validation, test."""
    judge = ExtraTreesClassifier(500, random_state=seed, n_jobs=1).fit(split.x_ND[:, columns], split.y_N)
    return (
        float(judge.score(split.x_val_VD[:, columns], split.y_val_V)),
        float(judge.score(split.x_test_MD[:, columns], split.y_test_M)),
    )


def neural(split: Split, columns: list[int], seed: int) -> tuple[float, float]:
    """Accuracy of a network on the columns, taken where the validation loss was least: validation, test."""
    torch.manual_seed(1000 + seed)
    model = network(len(columns), split.classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    least, since, found = float("inf"), 0, (0.0, 0.0)
    for _ in range(300):
        for index in torch.randperm(len(split.y_N)).split(64):
            optimizer.zero_grad()
            loss_1 = cross_entropy(model(split.x_ND[index][:, columns]), split.y_N[index])
            loss_1.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            val, test = model(split.x_val_VD[:, columns]), model(split.x_test_MD[:, columns])
            loss = float(cross_entropy(val, split.y_val_V))
            since = 0 if loss < least else since + 1
            if loss < least:
                hits = (val.argmax(1) == split.y_val_V, test.argmax(1) == split.y_test_M)
                least, found = loss, (float(hits[0].float().mean()), float(hits[1].float().mean()))
        if since == 15:
            break
    return found


JUDGES = {"trees": trees, "network": neural}


def judged(split: Split, features: list[int], seed: int) -> dict[str, Any]:
    """Accuracies by judge and number of features."""
    found: dict[str, Any] = {}
    for judge, score in JUDGES.items():
        for kept in KEPT:
            val, test = score(split, features[:kept], seed)
            found[f"{judge}_{kept}"], found[f"{judge}_{kept}_validation"] = round(test, 4), round(val, 4)
    return found


def run(name: str, row: str, seed: int) -> dict[str, Any]:
    """Select with one method and judge: its line."""
    split = read(name, seed)
    cpu, wall = time.process_time(), time.perf_counter()
    features = ROWS[row](split, seed)
    line = {"set": name, "row": row, "seed": seed, "cpu_seconds": round(time.process_time() - cpu, 2)}
    line["wall_seconds"] = round(time.perf_counter() - wall, 2)
    return line | judged(split, features, seed) | {"features": features[: max(KEPT)]}


def finished(out: Path) -> list[dict[str, Any]]:
    """The lines of `out`; a last one that was cut off while it was written is dropped from the file."""
    text = out.read_bytes() if out.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(out, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def table(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Markdown: test accuracy, mean over the seeds and the least and most of them, and seconds."""
    heads = ["set", "row", "seeds", *(f"{judge}, {kept}" for judge in JUDGES for kept in KEPT)]
    heads += ["CPU s", "wall s", "CPU over LassoNet's"]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for name in SETS:
        peer = [line["cpu_seconds"] for line in lines if (line["set"], line["row"]) == (name, "LassoNet")]
        for row in ROWS:
            mine = [line for line in lines if (line["set"], line["row"]) == (name, row)]
            if not mine:
                continue
            cells = [name, row, f"{len(mine)}"]
            for judge in JUDGES:
                for kept in KEPT:
                    values = [100 * line[f"{judge}_{kept}"] for line in mine]
                    cells += [f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"]
            seconds = np.mean([line["cpu_seconds"] for line in mine])
            cells += [f"{seconds:.1f}", f"{np.mean([line['wall_seconds'] for line in mine]):.0f}"]
            cells += [f"{seconds / np.mean(peer):.3f}" if peer else ""]
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS), metavar="NAME")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS / "feature_selection.jsonl", help="a line a finished run")
    args = parser.parse_args()
    if not (DATA / "Isolet.mat").is_file():
        sys.exit(f"feature_selection: no {DATA}/Isolet.mat; set THINNET_DATA to the folder that holds it.")
    torch.set_num_threads(1)
    lines = finished(args.out)
    done = {(line["set"], line["row"], line["seed"]) for line in lines}
    work = [(name, row, seed) for name in args.sets for seed in args.seeds for row in args.rows]
    with args.out.open("a") as file:
        for place, (name, row, seed) in enumerate(work, 1):
            if (name, row, seed) in done:
                continue
            line = run(name, row, seed)
            file.write(json.dumps(line) + "\n")
            file.flush()
            figures = " ".join(f"{line[f'trees_{kept}']:.3f}" for kept in KEPT)
            print(f"{place}/{len(work)} {name} {row} {seed}: {figures}, {line['cpu_seconds']:.1f} s", flush=True)
            lines.append(line)
    print(describe(), *table(lines), sep="\n")


if __name__ == "__main__":
    main()
