"""The choice of columns within a fit: run the path, narrow the schema, keep the result in the checkpoint."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from thinnet.tabular._budget import Budget
from thinnet.tabular._checkpoint import Checkpoint, foreign, read_metadata
from thinnet.tabular._progress import Progress
from thinnet.tabular._time_plan import feature_time, fraction_after_features, fraction_during_features
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Dropped, Schema
from thinnet.tabular.features._path import FeaturePath, balanced, feature_path
from thinnet.tabular.features._path_json import path_from_json, path_to_json
from thinnet.tabular.features._path_training import Rounds
from thinnet.tabular.population._fold_data import Problem

PHASE = "choosing features"

_BINS = 8
"""Most bins of a number in the selection: enough to see that it matters, whatever its effect looks like."""

_BATCH = (32, 256)

_NAMED = 20
"""Most columns that a note names."""


@dataclass(frozen=True)
class Chosen:
    """The result of the selection of features.

    Args:
        path: the path, and the columns that it chose.
        metadata: the same as text, for the checkpoint; "" where there is none.
        seconds: time that it took.
    """

    path: FeaturePath
    metadata: str
    seconds: float


def choose_columns(
    schema: Schema,
    frame: pd.DataFrame,
    target: tuple[Tensor, int],
    fold_N: NDArray[np.int64],
    *,
    n_bins: int,
    width: int,
    seed: int,
    budget: Budget,
    units: Callable[[float], float],
    callback: Callable[[Progress], object] | None,
    checkpoint: str | Path | None,
) -> Chosen:
    """Select features by a regularization path, or take the selection from a checkpoint.

    Args:
        schema: of the table.
        frame: (n, columns in use).
        target: what to learn, (n,), and the outputs it takes.
        fold_N: the fold of every row.
        n_bins: most bins of a number.
        width: columns that the encoding is held to.
        seed: of everything random.
        budget: of the whole fit.
        units: from the loss to the score that is shown.
        callback: told of the progress.
        checkpoint: the file of the unfinished fit, if any.

    Raises:
        ValueError: the checkpoint is of another fit, or every network diverged.
    """
    names = [column.name for column in schema.columns]
    encoder = Encoder.fit(frame, schema, n_bins=min(n_bins, _BINS), max_width=width)
    place = {name: i for i, name in enumerate(names)}
    blocks = [place[name] for name, _ in encoder.columns]
    y_N, outputs = target
    x_ND = balanced(torch.from_numpy(encoder.encode(frame)), blocks)
    problem = Problem(x_ND, y_N, fold_N, outputs, np.array([part for _, part in encoder.columns]))
    identity = _identity(problem, blocks, seed) if checkpoint else ""
    found = _remembered(Path(checkpoint), identity, budget) if checkpoint else None
    if found is not None:
        return found
    start = time.monotonic()

    def tell(share: float, members: int, best: float) -> None:
        if callback is not None:
            fraction, left = fraction_during_features(share), max(budget.left, 0.0)
            callback(Progress(PHASE, fraction, members, _known(units, best), budget.elapsed, left))

    batch_size = int(np.clip(2 ** round(math.log2(len(frame) / 5)), *_BATCH))
    rounds = Rounds(problem, batch_size=batch_size, seed=seed, budget=feature_time(budget), tell=tell)
    path = feature_path(problem, names, blocks, rounds, seed)
    seconds = time.monotonic() - start
    if not checkpoint:
        return Chosen(path, "", seconds)
    metadata = json.dumps({"identity": identity, "seconds": seconds, "path": path_to_json(path)})
    # at once: what follows may be killed, and a time limit may let another path choose other columns
    Checkpoint(checkpoint, metadata=metadata).save([])
    return Chosen(path, metadata, seconds)


def narrowed_schema(schema: Schema, path: FeaturePath) -> Schema:
    """Restrict a schema to the chosen columns; each other one is listed with the strength that excluded it."""
    chosen = set(path.chosen)
    columns = tuple(column for column in schema.columns if column.name in chosen)
    dropped = [Dropped(c.name, _reason(path, c.name)) for c in schema.columns if c.name not in chosen]
    return replace(schema, columns=columns, dropped=(*schema.dropped, *dropped))


def shown_path(path: FeaturePath, units: Callable[[float], float]) -> pd.DataFrame:
    """Tabulate the path, a row for each strength, with scores in the units that are shown."""
    frame = path.frame()
    loss, se = frame["held_out"], frame["se"]
    held_out = [units(value) for value in loss]
    # half the width of the band, which units may bend
    low, high = ([units(max(v, 0.0)) for v in band] for band in (loss - se, loss + se))
    return frame.assign(held_out=held_out, se=(np.array(high) - np.array(low)) / 2)


def told(path: FeaturePath) -> list[str]:
    """Note which columns were excluded, and what went wrong on the path."""
    gone = sorted((n for n in path.leaves if n not in path.chosen), key=lambda n: -path.leaves[n])
    notes = []
    if gone:
        more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        kept = f"{len(path.chosen)} of {len(path.leaves)} columns chosen at strength {path.strength:.2g}"
        notes.append(f"{kept}; left out: {', '.join(map(repr, gone[:_NAMED]))}{more}")
    elif not path.ended:
        notes.append(f"every one of the {len(path.leaves)} columns was chosen: without any, held-out rows fare worse")
    if path.ended:
        notes.append("time ended the path of columns before all were excluded: a higher limit may exclude more")
    if any(step.diverged for step in path.steps):
        notes.append("at some strengths of the path training diverged; it went on from the strength before")
    return notes


def afterwards(callback: Callable[[Progress], object] | None) -> Callable[[Progress], object] | None:
    """Return the callback for all that follows the selection: the share of the selection is done."""
    if callback is None:
        return None
    return lambda progress: callback(replace(progress, fraction=fraction_after_features(progress.fraction)))


def _reason(path: FeaturePath, name: str) -> str:
    left = path.leaves[name]
    if left > path.strength:  # it came back at a stronger one
        return f"not chosen: the network does without it at the chosen strength, {path.strength:.2g}"
    return f"not chosen: excluded at strength {left:.2g}, and {path.strength:.2g} was chosen"


def _remembered(checkpoint: Path, identity: str, budget: Budget) -> Chosen | None:
    """Return the selection that a checkpoint holds, if any; its time counts."""
    metadata, trained = read_metadata(checkpoint)
    if not metadata:
        if trained:
            raise foreign(checkpoint)  # of a fit that chose no columns
        return None
    content = json.loads(metadata)
    if content["identity"] != identity:
        raise foreign(checkpoint)
    if not trained:  # else the time of the training counts, which includes it
        budget.start -= content["seconds"]
    return Chosen(path_from_json(content["path"]), metadata, content["seconds"])


def _identity(problem: Problem, blocks: Sequence[int], seed: int) -> str:
    digest = hashlib.sha256()
    for array in (problem.x_ND.numpy(), problem.y_N.numpy(), problem.fold_N):
        digest.update(hashlib.sha256(array.tobytes()).digest())
    digest.update(repr((list(blocks), seed)).encode())
    return digest.hexdigest()


def _known(units: Callable[[float], float], loss: float) -> float | None:
    return units(loss) if math.isfinite(loss) else None
