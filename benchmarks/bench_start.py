"""Start-up time, size on disk and memory of thinnet beside another checkout of it.

Run: python benchmarks/bench_start.py --base PATH, where PATH is a checkout of the commit to compare with. Times are
medians over whole processes, which run in turn: one of each checkout, again and again. Each checkout trains the same
small model on the same table first, in a temporary folder, and predicts with its own. Prints a markdown table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from machine import describe

HERE = Path(__file__).parents[1]
RUN = "from thinnet.cli import main; main()"
ROWS = 800
FEW, MANY = 10, 100_000

FIT = f"""
import sys, warnings
import pandas as pd
from thinnet.tabular import ThinNetClassifier
warnings.simplefilter("ignore")
table = pd.read_csv(sys.argv[1], nrows={ROWS})
model = ThinNetClassifier(time_limit=None, max_steps=200, random_state=0)
model.fit(table.drop(columns="target"), table["target"]).save(sys.argv[2])
"""
"""Steps are counted, not seconds, so that both checkouts train the same networks."""

FITS = """
import gc, sys, warnings
import numpy as np, torch
from thinnet.tabular import ThinNetClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 12))
y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int)
for seed in range(5):
    model = ThinNetClassifier(time_limit=float(sys.argv[1]), random_state=seed).fit(X, y)
    del model
    gc.collect()
    print(sum(o.nbytes for o in gc.get_objects() if torch.is_tensor(o)))
"""


@dataclass(frozen=True)
class Checkout:
    """One version of the library.

    Args:
        name: the head of its column.
        root: its folder.
        scratch: a folder of its own for what it writes.
    """

    name: str
    root: Path
    scratch: Path

    def run(self, code: str, *words: str, status: int = 0) -> str:
        """What a process of this version prints.

        Raises:
            RuntimeError: it ended with another status.
        """
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src")}
        command = [sys.executable, "-c", code, *words]
        ended = subprocess.run(command, env=environment, cwd=self.scratch, capture_output=True, text=True, check=False)
        if ended.returncode != status:
            raise RuntimeError(f"{self.name}: {words or code!r} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return ended.stdout

    def commit(self) -> str:
        """The commit that is checked out."""
        git = ["git", "-C", str(self.root), "rev-parse", "--short", "HEAD"]
        return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no commit"


@dataclass(frozen=True)
class Case:
    """A process to be timed."""

    name: str
    code: str
    words: tuple[str, ...] = ()
    status: int = 0


TORCH = Case("`import torch`", "import torch")
IMPORTS = (Case("`import thinnet`", "import thinnet"), Case("`from thinnet import *`", "from thinnet import *"))
CASES = (
    TORCH,
    *IMPORTS,
    Case("`thinnet --help`", RUN, ("--help",)),
    Case("`thinnet --version`", RUN, ("--version",)),
    Case("refused: `thinnet fiit`", RUN, ("fiit",), 2),
    Case(f"`thinnet predict`, {FEW} rows", RUN, ("predict", "model", "../few.csv", "--out", "few.csv")),
    Case(f"`thinnet predict`, {MANY:,} rows", RUN, ("predict", "model", "../many.csv", "--out", "many.csv")),
)


def write_tables(folder: Path) -> None:
    """One table of numbers, categories and missing values: few rows and many."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(MANY, 8))
    table = pd.DataFrame(x, columns=[f"number {i}" for i in range(8)])
    for i, names in enumerate((["a", "b", "c"], ["Rome", "Oslo", "Bonn", "Graz"])):
        table[f"word {i}"] = rng.choice(names, MANY)
    table["target"] = np.where(x[:, 0] * x[:, 1] + x[:, 2] + (table["word 0"] == "a") > 0, "yes", "no")
    table = table.mask((rng.random(table.shape) < 0.02) & (table.columns != "target"))
    table.to_csv(folder / "many.csv", index=False)
    table.head(FEW).to_csv(folder / "few.csv", index=False)


def seconds(case: Case, checkouts: Sequence[Checkout], repeats: int) -> list[float]:
    """Median wall time of a process of each checkout; the first run of each is not measured."""
    taken: list[list[float]] = [[] for _ in checkouts]
    for i in range(repeats + 1):
        for checkout, mine in zip(checkouts, taken, strict=True):
            began = time.perf_counter()
            checkout.run(case.code, *case.words, status=case.status)
            if i:
                mine.append(time.perf_counter() - began)
    return [median(mine) for mine in taken]


def row(name: str, before: float, after: float, unit: str, digits: int) -> str:
    ratio = f"{after / before:.2f}" if before else "—"
    return f"| {name} | {before:,.{digits}f} {unit} | {after:,.{digits}f} {unit} | {ratio} |"


def sizes(checkout: Checkout) -> dict[str, int]:
    """Bytes of each file of the model."""
    return {path.name: path.stat().st_size for path in sorted((checkout.scratch / "model").iterdir())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="checkout to compare with")
    parser.add_argument("--repeats", type=int, default=7, help="measured processes of each line and checkout")
    parser.add_argument("--fit-seconds", type=float, default=10.0, help="time limit of each of the five fits")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_tables(scratch)
        base = Checkout("before", asked.base.resolve(), scratch / "before")
        head = Checkout("after", HERE, scratch / "after")
        for checkout in (base, head):
            checkout.scratch.mkdir()
            checkout.run(FIT, "../many.csv", "model")
        print(describe())
        print(f"medians of {asked.repeats} whole processes each, in turn\n")
        print(f"| | before ({base.commit()}) | after ({head.commit()}) | ratio |\n|---|---|---|---|")
        for case in CASES:
            before, after = seconds(case, (base, head), asked.repeats)
            print(row(case.name, before, after, "s", 3), flush=True)
            if case is TORCH:
                torch = before, after
            elif case in IMPORTS:
                cells = f"{before / torch[0]:.2f} | {after / torch[1]:.2f}"
                print(f"| {case.name} over `import torch` | {cells} | |", flush=True)
        old, new = sizes(base), sizes(head)
        print(row(f"model of {ROWS} rows", sum(old.values()), sum(new.values()), "B", 0))
        for name in sorted({*old, *new}):
            print(row(f"its {name}", old.get(name, 0), new.get(name, 0), "B", 0))
        print(flush=True)
        for checkout in (base, head):
            alive = [int(line) / 2**20 for line in checkout.run(FITS, str(asked.fit_seconds)).split()]
            told = ", ".join(f"{size:.1f}" for size in alive)
            print(f"MiB of tensors alive after each of five fits, {checkout.name}: {told}; ", end="")
            print(f"{alive[-1] - alive[0]:+.1f} from the first to the fifth", flush=True)


if __name__ == "__main__":
    main()
