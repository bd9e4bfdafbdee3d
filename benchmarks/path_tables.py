"""A path of 50 strengths of a 2x128 network on three tables, beside 50 trainings from scratch at the same strengths.

Tables: credit_g (1,000 rows, 20 mixed columns, 2 classes), sylvine (5,124 rows, 20 numbers, 2 classes) and ames_house
(1,460 rows, 79 mixed columns, regression of the log price). Beside them, on which nothing was chosen: vehicle (846, 18
numbers, 4 classes), kc1 (2,109, 21, 2), segment (2,310, 19, 7) and phoneme (5,404, 5, 2). 60 % training, 20 %
validation, 20 % test rows, a split and first weights a seed. Categories are one-hot encoded, missing numbers are the
training rows' mean, numbers and the target of a regression are standardised. A round is an epoch of Adam, in batches of
64 below 1,000 training rows and of 256 above.

Settings, each a plan and how it is trained, the learning rate the same for the path and the cold trainings:

- inputs: `tn.GroupLasso(1.0, by="inputs")` on the first matrix, a category's columns one group. All defaults of
  `tn.path`, Adam at 3e-3 and 4 rounds a point among them. Strengths are those that "down" finds; "up" and the cold
  trainings get the same.
- L1: `tn.L1(1.0)` on all three matrices, which "down" refuses: layers that feed each other cannot leave zero together.
  Adam at 1e-2 and 3 rounds a point.

Rows: up, down: `tn.path`. cold: for each strength of the path a training from scratch, which is a `tn.path` of one
strength without averaging of weights, ended by the early stopping of a path's first point. cold averaged: the same,
with the averaging that a path has. The point with the least validation loss is chosen, in all of them; its test loss is
the score.

A finished run is one JSON line in `--out`; killed at any moment, the same command goes on after the last line. The rows
of a seed run after each other in one process on one thread, and their CPU seconds are compared.

Usage: python benchmarks/path_tables.py [--tables NAME ...] [--settings NAME ...] [--rows ROW ...] [--seeds SEED ...]
    [--out FILE]
with `THINNET_DATA` set to the folder that holds `tables`. `--rows` with no names trains nothing and prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim import Optimizer

import thinnet as tn
from machine import describe

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("THINNET_DATA", "../shared/data")) / "tables"
TABLES = ("credit_g", "sylvine", "ames_house", "vehicle", "kc1", "segment", "phoneme")
ROWS = ("down", "up", "cold", "cold averaged")
WIDTH = 128


@dataclass(frozen=True)
class Setting:
    """A plan, Adam's learning rate, most rounds of a point, and the rows, of which the first finds the strengths."""

    plan: Literal["L1", "inputs"]
    rate: float
    rounds: int
    rows: tuple[str, ...]


SETTINGS = {
    "inputs": Setting("inputs", 3e-3, 4, ("down", "up", "cold", "cold averaged")),
    "L1": Setting("L1", 1e-2, 3, ("up", "cold", "cold averaged")),
}


@dataclass(frozen=True)
class Split:
    """Training, validation and test rows; `blocks` is the number of the column that each input is of."""

    parts: tuple[tuple[Tensor, Tensor], ...]
    blocks: tuple[int, ...]
    classes: int

    def loss(self, model: nn.Module, part: int, index: Tensor | slice = slice(None)) -> Tensor:
        """Mean cross-entropy, or mean squared error in units of the log target's variance."""
        x, y = self.parts[part]
        out = model(x[index])
        return cross_entropy(out, y[index]) if self.classes else mse_loss(out[:, 0], y[index])

    @torch.no_grad()
    def accuracy(self, model: nn.Module, part: int) -> float:
        """Share of rows that are classified right; NaN for a regression."""
        x, y = self.parts[part]
        return float((model(x).argmax(1) == y).float().mean()) if self.classes else float("nan")


def read(name: str, seed: int) -> Split:
    """The table, split at random and encoded by its training rows."""
    about = next(entry for entry in json.loads((DATA / "tables.json").read_text()) if entry["name"] == name)
    table = pd.read_csv(DATA / about["file"])
    target, columns = table.pop(about["target"]), table
    classes = about["classes"] or 0
    y = pd.factorize(target, sort=True)[0] if classes else target.to_numpy(float)
    rest, test = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y if classes else None, random_state=seed)
    train, val = train_test_split(rest, test_size=0.25, stratify=y[rest] if classes else None, random_state=seed)
    inputs, blocks = [], []
    for number, (_, column) in enumerate(columns.items()):
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(float)
            mean = np.nanmean(values[train])
            values = np.where(np.isnan(values), mean, values) - mean
            encoded = (values / (values[train].std() or 1))[:, None]
        else:
            levels = column.iloc[train].dropna().unique()
            encoded = (column.to_numpy(object)[:, None] == np.array(sorted(levels), object)).astype(float)
        inputs.append(encoded)
        blocks += [number] * encoded.shape[1]
    x = torch.from_numpy(np.concatenate(inputs, 1)).float()
    if not classes:
        y = np.log(y)  # the squared error of prices as they are hangs on a few dear houses
        y = (y - y[train].mean()) / y[train].std()
    aim = torch.from_numpy(y).long() if classes else torch.from_numpy(y).float()
    return Split(tuple((x[rows], aim[rows]) for rows in (train, val, test)), tuple(blocks), classes)


def trained(split: Split, setting: Setting, seed: int, **settings: Any) -> Any:
    """A path on the split."""
    torch.manual_seed(seed)
    rows = len(split.parts[0][1])
    batch = 64 if rows < 1000 else 256

    def make_model() -> nn.Module:
        return nn.Sequential(
            nn.Linear(len(split.blocks), WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, split.classes or 1),
        )

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for index in torch.randperm(rows).split(batch):
            optimizer.zero_grad()
            split.loss(model, 0, index).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    rule = tn.Plan(
        tn.L1(1.0) if setting.plan == "L1" else {"0.weight": tn.GroupLasso(1.0, by="inputs", blocks=split.blocks)}
    )
    return tn.path(
        make_model,
        rule,
        fit,
        lambda model: float(split.loss(model, 1)),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=setting.rate),
        rounds=setting.rounds,
        **settings,
    )


def run(name: str, label: str, row: str, seed: int, strengths: Sequence[float] | None) -> dict[str, Any]:
    """Train all strengths and choose: its line."""
    setting, split, start = SETTINGS[label], read(name, seed), time.process_time()
    if row.startswith("cold"):
        assert strengths is not None
        average = 1.0 if row == "cold averaged" else 0.0
        points = [trained(split, setting, seed, strengths=[t], average=average).points[0] for t in sorted(strengths)]
    else:
        given = None if strengths is None else sorted(strengths, reverse=row == "down")
        points = list(trained(split, setting, seed, strengths=given, direction=row).points)
    seconds = time.process_time() - start
    chosen = min((p for p in points if not p.diverged), key=lambda p: (p.error, -p.strength))
    model = chosen.model()
    with torch.no_grad():
        loss = float(split.loss(model, 2))
    return {
        "table": name,
        "setting": label,
        "row": row,
        "seed": seed,
        "cpu_seconds": round(seconds, 2),
        "rounds": sum(p.rounds for p in points),
        "strength": chosen.strength,
        "validation_loss": round(chosen.error, 5),
        "test_loss": round(loss, 5),
        "test_accuracy": round(split.accuracy(model, 2), 4) if split.classes else None,
        "zeros": round(chosen.zeros / chosen.weights, 4),
        "groups": chosen.groups.get("0.weight"),
        "strengths": [p.strength for p in points],
        "validation_losses": [round(p.error, 5) for p in points],
        "test_losses": [round(float(split.loss(p.model(), 2).detach()), 5) for p in points],
        "all_zeros": [p.zeros for p in points],
        "all_groups": [p.groups.get("0.weight") for p in points],
    }


def finished(out: Path) -> list[dict[str, Any]]:
    """The lines of `out`; a last one that was cut off while it was written is dropped from the file."""
    text = out.read_bytes() if out.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(out, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def table(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Markdown: every row's mean over its seeds; test losses over cold's: geometric mean, standard error of its log."""
    heads = ["table", "setting", "row", "seeds", "strengths", "rounds", "CPU s", "time over cold"]
    heads += ["test loss", "over cold", "better or equal on", "test accuracy", "weights zero"]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for name in TABLES:
        for label, setting in SETTINGS.items():
            of = {
                row: {
                    line["seed"]: line
                    for line in lines
                    if (line["table"], line["setting"], line["row"]) == (name, label, row)
                }
                for row in setting.rows
            }
            for row in setting.rows:
                seeds = sorted(set(of[row]) & set(of["cold"]))
                if not seeds:
                    continue
                mine, cold = [of[row][seed] for seed in seeds], [of["cold"][seed] for seed in seeds]

                def mean(key: str, of: list[dict[str, Any]] = mine) -> float:
                    return float(np.mean([line[key] for line in of]))

                log_ratios = np.log([a["test_loss"] / b["test_loss"] for a, b in zip(mine, cold, strict=True)])
                se = f" ± {log_ratios.std(ddof=1) / len(seeds) ** 0.5:.3f}" if len(seeds) > 1 else ""
                better = int((log_ratios <= 0).sum())
                is_cold = row == "cold"
                cells = [name, label, row, f"{len(seeds)}", f"{np.mean([len(m['strengths']) for m in mine]):.0f}"]
                cells += [f"{mean('rounds'):.0f}", f"{mean('cpu_seconds'):.1f}"]
                cells += ["" if is_cold else f"{mean('cpu_seconds') / mean('cpu_seconds', cold):.3f}"]
                cells += [f"{mean('test_loss'):.4f}"]
                cells += ["" if is_cold else f"{np.exp(log_ratios.mean()):.3f}{se}"]
                cells += ["" if is_cold else f"{better} of {len(seeds)}"]
                cells += ["" if mine[0]["test_accuracy"] is None else f"{mean('test_accuracy'):.3f}"]
                cells += [f"{100 * mean('zeros'):.0f} %"]
                yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=list(TABLES), metavar="NAME")
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(10)))
    parser.add_argument("--out", type=Path, default=RESULTS / "path_tables.jsonl", help="one JSON line a finished run")
    args = parser.parse_args()
    missing = [name for name in args.tables if not (DATA / f"{name}.csv.gz").is_file()]
    if missing:
        sys.exit(f"path_tables: {DATA} has no {', '.join(missing)}; set THINNET_DATA to the folder that holds tables.")
    torch.set_num_threads(1)
    # what the first run of a process loads and compiles is nobody's time
    trained(read(args.tables[0], 0), SETTINGS[args.settings[0]], 0, strengths=[1e-3, 1e-2], first_rounds=1)
    lines = finished(args.out)
    work = [
        (name, label, row, seed)
        for seed in args.seeds
        for name in args.tables
        for label in args.settings
        for row in SETTINGS[label].rows
        if row in args.rows
    ]
    with args.out.open("a") as file:
        for place, (name, label, row, seed) in enumerate(work, 1):
            of = {
                line["row"]: line
                for line in lines
                if (line["table"], line["setting"], line["seed"]) == (name, label, seed)
            }
            finder = SETTINGS[label].rows[0]
            if row in of:
                continue
            if row != finder and finder not in of:
                sys.exit(f"path_tables: {row} of {label} needs the strengths that {finder} finds; give it in --rows.")
            line = run(name, label, row, seed, None if row == finder else of[finder]["strengths"])
            file.write(json.dumps(line) + "\n")
            file.flush()
            figures = f"test loss {line['test_loss']:.4f}, {line['rounds']} rounds, {line['cpu_seconds']:.1f} s"
            print(f"{place}/{len(work)} {name} {label} {row} {seed}: {figures}", flush=True)
            lines.append(line)
    print(describe(), *table(lines), sep="\n")


if __name__ == "__main__":
    main()
