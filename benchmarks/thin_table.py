"""What removing nodes does to the error, beside dropout of single elements, and what it costs.

The network of the MNIST table, 784-1024-1024-2048-10 with ReLU, on the first 10 000 training images (Adam, 1e-3 falling
linearly to zero, batches of 128); the error is that on the other 50 000 training images and the 10 000 test images, so
that differences of a tenth of a percent are seen. A run appends one JSON line to `--out`; runs that stand there are not
repeated, so a killed command goes on.

Usage: THINNET_DATA=... python benchmarks/thin_table.py [--rows ROW ...] [--seeds 0 1] [--data mnist] [--epochs 25]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import mnist_table
import thinnet as tn

WIDTHS = (784, 1024, 1024, 2048, 10)
LEARNED, BATCH = 10_000, 128


def network(p: float = 0.0, input_p: float = 0.0, layer: Callable[[float], nn.Module] = nn.Dropout) -> nn.Sequential:
    """Linear and ReLU, with a dropout layer before each Linear whose rate is not 0."""
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(WIDTHS)):
        rate = p if index else input_p
        layers += [*([layer(rate)] if rate else []), nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def thinned(p: float, groups: int = 1) -> nn.Module:
    """The same with its hidden nodes removed; each row loses inputs of its own."""
    return tn.thin_(network(), p, 0.2, groups=groups)


ROWS: dict[str, Callable[[], nn.Module]] = {
    "no dropout": network,
    "nn.Dropout, p .5, input .2": lambda: network(0.5, 0.2),
    "thin, p .5, input .2": lambda: thinned(0.5),
    "thin, p .5, input .2 for all rows": lambda: tn.thin_(network(input_p=0.2, layer=tn.NodeDropout), 0.5),
    "thin, p .5, input 0": lambda: tn.thin_(network(), 0.5),
    "thin, p .3, input .2": lambda: thinned(0.3),
    "thin, p .4, input .2": lambda: thinned(0.4),
    "thin, p .6, input .2": lambda: thinned(0.6),
    "thin, p .5, input .2, 2 groups": lambda: thinned(0.5, 2),
    "thin, p .5, input .2, 4 groups": lambda: thinned(0.5, 4),
}


def run(model: nn.Module, seed: int, epochs: int, learn: tuple[Tensor, Tensor], unseen: tuple[Tensor, Tensor]) -> dict:
    """Train, then measure: percent of wrong answers, log loss and CPU seconds of the training alone."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    steps = epochs * -(-LEARNED // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    order = torch.Generator().manual_seed(seed)
    start = time.process_time()
    for _ in range(epochs):
        for rows in torch.randperm(LEARNED, generator=order).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(learn[0][rows]), learn[1][rows]).backward()
            optimizer.step()
            schedule.step()
    seconds = time.process_time() - start
    model.eval()
    with torch.no_grad():
        out = torch.cat([model(part) for part in unseen[0].split(1000)])
    wrong = float((out.argmax(1) != unseen[1]).double().mean())
    return {"error": 100 * wrong, "log_loss": float(cross_entropy(out, unseen[1])), "cpu_seconds": seconds}


def table(lines: list[dict], data: str, epochs: int) -> str:
    """Means over the seeds, as Markdown."""
    text = "| training | error % | each seed | log loss | CPU seconds | seeds |\n|---|---|---|---|---|---|\n"
    for row in ROWS:
        mine = [x for x in lines if (x["row"], x["data"], x["epochs"]) == (row, data, epochs)]
        if mine:
            error, loss, cpu = (statistics.mean(x[key] for x in mine) for key in ("error", "log_loss", "cpu_seconds"))
            each = ", ".join(f"{x['error']:.2f}" for x in mine)
            text += f"| {row} | {error:.2f} | {each} | {loss:.4f} | {cpu:.0f} | {len(mine)} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--data", default="mnist", choices=["mnist", "fashion_mnist"])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "thin_table.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    mnist_table.DATA = mnist_table.DATA.parent / args.data
    (x, y), (x_test, y_test) = mnist_table.images("train"), mnist_table.images("t10k")
    learn = x[:LEARNED], y[:LEARNED]
    unseen = torch.cat([x[LEARNED:], x_test]), torch.cat([y[LEARNED:], y_test])
    lines = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    for seed in args.seeds:
        for row in args.rows:
            key = {"row": row, "data": args.data, "epochs": args.epochs, "seed": seed}
            if any(key.items() <= line.items() for line in lines):
                continue
            torch.manual_seed(seed)
            lines.append({**key, **run(ROWS[row](), seed, args.epochs, learn, unseen), "threads": args.threads})
            with args.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(lines[-1], flush=True)
    print(table(lines, args.data, args.epochs))


if __name__ == "__main__":
    main()
