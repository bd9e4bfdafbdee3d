"""What `tn.compact` removes from the families of transformers, and from small networks of every kind of operation.

Structures (heads, neurons, channels, whole groups, channels of a residual stream) are drawn at random and zeroed, in
one layer about half of them, in others more or fewer. The table says how many were physically gone afterwards, by the
shapes of the parameters alone, and whether the outputs are those of the original on other random inputs, to 1e-9 in
float64. Structures that no exact method could remove (a channel that a layer normalisation counts) are zeroed, too, and
stay: they are listed, but have no part in the share. The models are tiny and random; nothing is downloaded.

Usage: python -m benchmarks.zoo_table [--names BERT ...] [--seeds 0 1 2] [--out benchmarks/results/zoo.md]
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks import machine
from tests.compact.zoo._families import FAMILIES
from tests.compact.zoo._own import OWN
from tests.compact.zoo._specimen import Specimen, assert_equal
from tests.compact.zoo._structures import gone, zero
from torch import nn

import thinnet as tn

STAYS = " that must stay"
HEAD = (
    "| network | zeroed | gone | share | parameters | after | pinned | seconds | verdict |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Row:
    """One network: its structures by kind, what became of them, and the verdict."""

    name: str
    zeroed: Counter[str]
    gone: Counter[str]
    before: int
    after: int
    pinned: int
    seconds: float
    verdict: str

    @property
    def share(self) -> float:
        """Of the structures that could go, how many did."""
        kinds = [kind for kind in self.zeroed if not kind.endswith(STAYS)]
        return sum(self.gone[kind] for kind in kinds) / sum(self.zeroed[kind] for kind in kinds) if kinds else 1.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.zeroed.items())
        went = ", ".join(f"{self.gone[kind]:g}" for kind in self.zeroed)
        sizes = f"{self.before:,} | {self.after:,}"
        share = "–" if all(kind.endswith(STAYS) for kind in self.zeroed) else f"{self.share:.0%}"  # noqa: RUF001
        return (
            f"| {self.name} | {kinds} | {went} | {share} | {sizes} | {self.pinned} | {self.seconds:.1f} "
            f"| {self.verdict} |"
        )


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def judge(specimen: Specimen, seed: int) -> Row:
    """Zero, compact, compare; a refusal and a crash are rows as well."""
    model = specimen.model(seed)
    zeroed = zero(model, specimen.units(model), seed)
    count, went, start = Counter[str](), Counter[str](), time.perf_counter()
    for each in zeroed:
        count[each.kind + STAYS if each.stays else each.kind] += each.count
    small, pinned = model, 0
    try:
        small, report = tn.compact(model, specimen.example(seed))
        pinned, verdict = len(report.pinned), "equal"
    except tn.NotCompactableError as error:
        verdict = f"refused: {error}".replace("\n", " ").replace("|", "/")[:160]
    except Exception as error:
        verdict = f"CRASHED: {type(error).__name__} {error}".replace("\n", " ").replace("|", "/")[:160]
    seconds = time.perf_counter() - start
    try:
        for other in range(1, 4):
            assert_equal(model, small, specimen.example(seed + other, batch=1 + other))
    except Exception as error:
        verdict = f"WRONG: {type(error).__name__}"
    for each, number in zip(zeroed, gone(zeroed, model, small), strict=True):
        went[each.kind + STAYS if each.stays else each.kind] += number
    return Row(specimen.name, count, went, parameters(model), parameters(small), pinned, seconds, verdict)


def table(specimens: Mapping[str, Specimen], names: Iterable[str], seeds: Iterable[int]) -> tuple[str, list[Row]]:
    rows = []
    for name in names:
        for seed in seeds:
            rows.append(judge(specimens[name], seed))
            print(rows[-1], flush=True)
    return HEAD + "\n".join(map(str, rows)) + "\n", rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="*", choices=[*FAMILIES, *OWN], default=[*FAMILIES, *OWN])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "zoo.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    import transformers

    families, rows = table(FAMILIES, [name for name in args.names if name in FAMILIES], args.seeds)
    own, _ = table(OWN, [name for name in args.names if name in OWN], args.seeds)
    good = [name for name in dict.fromkeys(row.name for row in rows) if passed(row for row in rows if row.name == name)]
    count = len({row.name for row in rows})
    summary = f"{len(good)} of {count} rows of families compacted, equal, with more than half of what was zeroed gone."
    seeds = " ".join(map(str, args.seeds))
    text = (
        f"# What `tn.compact` removes\n\n`python -m benchmarks.zoo_table --seeds {seeds}`, {datetime.date.today()}, "
        f"transformers {transformers.__version__}, {machine.describe()}\n{__doc__.split('Usage')[0].strip()}\n\n"
        f"## Families of transformers\n\n{summary}\n\n{families}\n## Small networks\n\n{own}"
    )
    print(summary)
    args.out.write_text(text)


def passed(rows: Iterable[Row]) -> bool:
    return all(row.verdict == "equal" and row.share > 0.5 for row in rows)


if __name__ == "__main__":
    main()
