"""The comparison of regularizers of Srivastava et al. 2014 on the full MNIST, every row through this library.

Network 784-1024-1024-2048-10, ReLU; pixels / 255 and nothing else; Adam, the learning rate falling linearly to zero;
matrix products in bfloat16 (`--set bf16=0` for float32), weights and the test in float32.
Rows: none, l2, l2+l1, max-norm, dropout+l2, dropout+max-norm. A run appends one JSON line to `--out` when it is
finished; killed at any moment, the same command goes on from the last finished epoch. The table is made of the lines.

Usage: python benchmarks/mnist_table.py [--rows ROW ...] [--seed 0] [--epochs N] [--threads 1] [--out FILE]
with `THINNET_DATA` set to the folder that holds `mnist`, the four idx .gz files.

`--rows` with no names trains nothing and prints the table. Settings are chosen without the test images: `--holdout`
trains on the first 50 000 training images and measures on the last 10 000, and `--set l2=1e-5 lr=2e-3` tries others.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import thinnet as tn
from machine import describe

DATA = Path(os.environ.get("THINNET_DATA", "../shared/data")) / "mnist"
WIDTHS = (784, 1024, 1024, 2048, 10)
HELD_OUT = 10_000

Settings = dict[str, float]
COMMON: Settings = {"lr": 1e-3, "batch": 128, "bf16": 1}
DENSE: Settings = {**COMMON, "epochs": 20}
THINNED: Settings = {**COMMON, "epochs": 100, "p": 0.5, "input_p": 0.2}
ROWS: dict[str, Settings] = {
    "none": DENSE,
    "l2": {**DENSE, "l2": 1e-4},
    "l2+l1": {**DENSE, "l2": 1e-4, "l1": 1e-6},
    "max-norm": {**DENSE, "max_norm": 0.6},
    "dropout+l2": {**THINNED, "epochs": 60, "l2": 1e-5},
    "dropout+max-norm": {**THINNED, "epochs": 200, "max_norm": 2.0},
}
PAPER = {"none": 1.60, "l2": 1.62, "l2+l1": 1.60, "max-norm": 1.35, "dropout+l2": 1.25, "dropout+max-norm": 1.05}
RULES = {"l2": tn.L2, "l1": tn.L1, "max_norm": tn.MaxNorm}


def read(name: str) -> Tensor:
    """An idx file's bytes as a tensor, one row an example."""
    raw = gzip.decompress((DATA / f"{name}.gz").read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * d : 8 + 4 * d], "big") for d in range(raw[3])]
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape[0], -1).copy())


def images(part: str) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] as rows, and their digits."""
    return read(f"{part}-images-idx3-ubyte").float() / 255, read(f"{part}-labels-idx1-ubyte").flatten().long()


def network(settings: Settings) -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(WIDTHS):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    return tn.thin_(model, p=settings["p"], input_p=settings["input_p"]) if "p" in settings else model


def plan(settings: Settings) -> tn.Plan | None:
    """The row's rules on every weight matrix; None for the row without any."""
    rules = [rule(settings[name]) for name, rule in RULES.items() if name in settings]
    return tn.Plan(sum(rules[1:], rules[0])) if rules else None


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Adam, or SGD for a row with a momentum."""
    lr, momentum = settings["lr"], settings.get("momentum")
    if momentum is None:
        return torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, nesterov=True, fused=True)


@torch.no_grad()
def error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Percent of wrong answers."""
    model.eval()
    wrong = sum(int((model(a).argmax(1) != b).sum()) for a, b in zip(x.split(1000), y.split(1000), strict=True))
    return 100 * wrong / len(y)


class Run:
    """One row, one seed: everything that a run needs to go on is in `state`, which is on disk after every epoch."""

    def __init__(self, row: str, seed: int, settings: Settings, folder: Path) -> None:
        self.settings, self.epochs = settings, int(settings["epochs"])
        self.file = folder / f"{row}-{seed}.checkpoint"
        torch.manual_seed(seed)
        self.seed = seed
        self.model = network(settings)
        self.optimizer = optimizer(self.model, settings)
        rules = plan(settings)
        self.attachment = None if rules is None else tn.attach(self.model, rules, self.optimizer)
        self.curve: list[float] = []
        self.cpu = self.wall = 0.0

    def load(self) -> None:
        """Take up a checkpoint of the same settings, if there is one."""
        if not self.file.exists():
            return
        state = torch.load(self.file, weights_only=True)
        if state["settings"] != self.settings:
            sys.exit(f"{self.file} is of a run with other settings ({state['settings']}): finish that run or delete it")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.attachment is not None:
            self.attachment.load_state_dict(state["attachment"])
        self.curve, self.cpu, self.wall = state["curve"], state["cpu"], state["wall"]
        torch.set_rng_state(state["random"])

    def save(self) -> None:
        """The whole state, or the one before if the process dies meanwhile."""
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "attachment": self.attachment and self.attachment.state_dict(),
            "curve": self.curve,
            "cpu": self.cpu,
            "wall": self.wall,
            "random": torch.get_rng_state(),
        }
        fresh = self.file.with_suffix(".fresh")
        torch.save(state, fresh)
        fresh.replace(self.file)

    def precision(self, low: bool = True) -> torch.autocast:
        """Products in bfloat16 where the settings say so; weights and optimizer are in float32 always."""
        return torch.autocast("cpu", torch.bfloat16, enabled=low and bool(self.settings["bf16"]))

    def epoch(self, x: Tensor, y: Tensor) -> None:
        """One pass over the training images."""
        # the order depends on seed and epoch alone, so a resumed run sees the same batches
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 * self.seed + len(self.curve)))
        batches = order.split(int(self.settings["batch"]))
        self.model.train()
        for step, rows in enumerate(batches):
            self.optimizer.param_groups[0]["lr"] = self.settings["lr"] * (
                1 - (len(self.curve) + step / len(batches)) / self.epochs
            )
            self.optimizer.zero_grad()
            with self.precision():
                loss = cross_entropy(self.model(x[rows]), y[rows])
            loss.backward()
            self.optimizer.step()

    def train(self, x: Tensor, y: Tensor, x_seen: Tensor, y_seen: Tensor, label: str) -> None:
        """The epochs that are left; the error on the `seen` images, measured after each, decides nothing.

        After the last epoch it is measured in float32 whatever the settings.
        """
        self.load()
        while len(self.curve) < self.epochs:
            cpu, wall = time.process_time(), time.perf_counter()
            self.epoch(x, y)
            last = len(self.curve) + 1 == self.epochs
            with self.precision(low=not last):
                self.curve.append(error(self.model, x_seen, y_seen))
            self.cpu += (time.process_time() - cpu) / 60
            self.wall += (time.perf_counter() - wall) / 60
            self.save()
            print(
                f"{label}  epoch {len(self.curve):3}/{self.epochs}  error {self.curve[-1]:5.2f} %  "
                f"{self.cpu:5.1f} CPU minutes",
                flush=True,
            )


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def table(found: list[dict[str, Any]]) -> str:
    """Test errors beside the paper's, as Markdown: a line for each row and settings, the mean where there are seeds."""
    text = "| row | paper, % | ours, % | seeds | epochs | CPU minutes a run | settings |\n" + "|---" * 7 + "|\n"
    for row, paper in PAPER.items():
        alike: dict[str, list[dict[str, Any]]] = {}
        for line in found:
            if line["row"] == row and line["measured_on"] == "test":
                alike.setdefault(json.dumps(line["settings"]), []).append(line)
        if not alike:
            text += f"| {row} | {paper:.2f} | not run | | | | |\n"
        for runs in alike.values():
            each = [line["error"] for line in runs]
            ours = f"{statistics.mean(each):.2f}" + f" ({', '.join(f'{e:.2f}' for e in each)})" * (len(each) > 1)
            minutes = statistics.mean(line["cpu_minutes"] for line in runs)
            seeds = " ".join(str(line["seed"]) for line in runs)
            epochs = runs[0]["epochs"]
            settings = ", ".join(f"{k} {v:g}" for k, v in runs[0]["settings"].items() if k != "epochs")
            text += f"| {row} | {paper:.2f} | {ours} | {seeds} | {epochs} | {minutes:.1f} | {settings} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), help="which rows to train; default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="instead of the row's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path("mnist_table.jsonl"), help="the JSON lines; checkpoints beside it"
    )
    parser.add_argument("--holdout", action="store_true", help="train on 50 000, measure on the last 10 000")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="instead of the row's own settings")
    args = parser.parse_args()
    if not DATA.exists():
        sys.exit(f"MNIST is not at {DATA}: set THINNET_DATA to the folder that holds `mnist`")
    torch.set_num_threads(args.threads)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    changes = {name: float(value) for name, value in (change.split("=") for change in args.set)}
    if args.epochs is not None:
        changes["epochs"] = args.epochs
    x, y = images("train")
    if args.holdout:
        x, y, x_seen, y_seen = x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:], y[-HELD_OUT:]
    else:
        x_seen, y_seen = images("t10k")
    measured_on = "validation" if args.holdout else "test"
    for row in args.rows:
        settings = {**ROWS[row], **changes}
        run = {"row": row, "seed": args.seed, "measured_on": measured_on, "settings": settings}
        work = Run(f"{args.out.name}-{row}-{measured_on}", args.seed, settings, args.out.parent)
        if not any(run.items() <= line.items() for line in lines(args.out)):
            work.train(x, y, x_seen, y_seen, f"{row}, seed {args.seed}, {measured_on}")
            result = {
                **run,
                "error": work.curve[-1],
                "epochs": work.epochs,
                "cpu_minutes": round(work.cpu, 2),
                "wall_minutes": round(work.wall, 2),
                "threads": args.threads,
                "torch": torch.__version__,
                "curve": work.curve,
            }
            with args.out.open("a") as file:
                file.write(json.dumps(result) + "\n")
        work.file.unlink(missing_ok=True)
    print(f"\n{describe()}\n{table(lines(args.out))}", flush=True)


if __name__ == "__main__":
    main()
