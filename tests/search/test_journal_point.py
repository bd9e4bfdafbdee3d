import math
import signal
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import thinnet as tn
from thinnet.search._journal import Journal
from thinnet.search._journal_point import header, read_points, write_point
from thinnet.search._path_trainer import PathTrainer
from thinnet.search._snapshot import Snapshot

from .networks import four_weights, linear, point, settings, task

CALLS = """
import os, signal, sys
import torch
sys.path.insert(0, {folder!r})
import thinnet as tn
from search_networks import perceptron, regression

problem = regression()
def fit(model, optimizer):
    for rows in torch.randperm(60).split(20):
        optimizer.zero_grad()
        (model(problem.x[rows]) - problem.y[rows]).square().mean().backward()
        optimizer.step()
def finished(point):
    if {kill} and point.strength > {kill}:
        os.kill(os.getpid(), signal.SIGKILL)
torch.manual_seed(1)
plan = tn.Plan(tn.groups(perceptron(), problem.x))
path = tn.path(perceptron, plan, fit, problem.losses, n_strengths=8, rounds=4, compact=problem.x[:4],
               checkpoint_dir={journal!r}, callback=finished)
"""


@pytest.mark.slow
def test_a_path_that_was_killed_goes_on_to_the_same_end(tmp_path: Path) -> None:
    (tmp_path / "search_networks.py").write_text((Path(__file__).parent / "networks.py").read_text())

    def code(journal: str, kill: float = 0) -> str:
        return textwrap.dedent(CALLS).format(folder=str(tmp_path), journal=str(tmp_path / journal), kill=kill)

    def outcome(journal: str) -> str:
        namespace: dict[str, object] = {}
        exec(code(journal), namespace)
        return str(namespace["path"])

    killed = subprocess.run([sys.executable, "-c", code("killed", 0.01)], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole = outcome("whole")
    done = (tmp_path / "killed" / "points.jsonl").read_text().count("\n")
    assert 2 <= done < whole.count("\n")
    assert outcome("killed") == whole
    assert outcome("killed") == whole  # a finished one is read


def test_a_point_comes_back_as_it_was_written(tmp_path: Path) -> None:
    given = task(four_weights, tn.Plan(tn.GroupLasso(1.0, by="inputs")))
    before = [point(0.5, [1.0, 2.0]), point(0.7, [math.nan], diverged=True, recipe={"a": [1]}, alive={})]
    journal = Journal(tmp_path, {})
    written = [write_point(journal, i, p, Snapshot({}, {"random": torch.zeros(1)})) for i, p in enumerate(before)]
    for found in (written, read_points(Journal(tmp_path, {}), given)):
        for one, other in zip(found, before, strict=True):
            for field in fields(tn.Point):
                if field.name not in ("state", "make_model"):
                    torch.testing.assert_close(getattr(one, field.name), getattr(other, field.name), equal_nan=True)
            assert one.make_model is four_weights
            assert one.state().keys() == other.state().keys() == {"weight"}
            assert one.state()["weight"].equal(other.state()["weight"])
    (tmp_path / "point-0000.safetensors").unlink()  # weights stay on the disk until they are asked for
    with pytest.raises(ValueError, match=r"point-0000\.safetensors cannot be read"):
        written[0].state()


def test_the_header_tells_apart_what_makes_another_path() -> None:
    def of(plan: object, make_optimizer=torch.optim.Adam, columns: int = 8, **more: object) -> dict[str, object]:
        given = task(lambda: linear(columns), plan, make_optimizer=make_optimizer)
        return header(PathTrainer(given, settings(**more)))

    first = of(tn.Plan(tn.L1(1.0)))
    assert of(tn.Plan(tn.L1(1.0))) == first
    for other, name in (
        (of(tn.Plan(tn.L1(2.0))), "plan"),
        (of(tn.Plan(tn.L1(1.0)), torch.optim.SGD), "optimizer"),
        (of(tn.Plan(tn.L1(1.0)), columns=7), "model"),
        (of(tn.Plan(tn.L1(1.0)), eps=0.2), "eps"),
        (of(tn.Plan(tn.L1(1.0)), refit=2), "refit"),
    ):
        assert [key for key in first if other[key] != first[key]] == [name]
