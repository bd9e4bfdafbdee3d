import math
from pathlib import Path

import pytest
import torch

import thinnet as tn
from thinnet.search._journal import Journal, tensors_in
from thinnet.search._snapshot import Snapshot

from .networks import linear, regression


def test_another_path_s_journal_is_refused(tmp_path: Path) -> None:
    problem = regression()
    folder = tmp_path / "journal"

    def walk(plan: tn.Plan) -> tn.RegularizationPath:
        return tn.path(
            linear, plan, problem.fit, problem.losses, strengths=[0.1, 0.2], first_rounds=2, checkpoint_dir=folder
        )

    first = walk(tn.Plan(tn.L1(1.0)))
    assert str(walk(tn.Plan(tn.L1(1.0)))) == str(first)
    with pytest.raises(ValueError, match="is of another path, it differs in plan; name another folder"):
        walk(tn.Plan(tn.L1(2.0)))
    with (folder / "point-0001.safetensors").open("r+b") as file:
        file.truncate(20)
    with pytest.raises(ValueError, match=r"point-0001\.safetensors cannot be read .* delete its folder"):
        walk(tn.Plan(tn.L1(1.0)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    folder = tmp_path / "full"
    with pytest.raises(ValueError, match="is not empty and holds no path"):
        walk(tn.Plan(tn.L1(1.0)))


def kept(folder: Path, index: int, **numbers: object) -> None:
    journal = Journal(folder, {"plan": "p"})
    here = Snapshot({"done": index + 1}, {"random": torch.arange(index + 1)})
    journal.add(index, {"strength": float(index), **numbers}, {"losses": torch.full((2,), float(index))}, here)


def test_points_come_back_in_order_with_where_training_stood(tmp_path: Path) -> None:
    for index in range(3):
        kept(tmp_path, index, norm=math.nan)
    journal = Journal(tmp_path, {"plan": "p"})
    entries = journal.entries()
    assert [numbers["strength"] for numbers, _ in entries] == [0.0, 1.0, 2.0]
    assert math.isnan(entries[0][0]["norm"])
    assert [tensors_in(place)["losses"].tolist() for _, place in entries] == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    checkpoint = journal.checkpoint()
    assert checkpoint is not None
    assert checkpoint.plain == {"done": 3}
    assert checkpoint.tensors["random"].tolist() == [0, 1, 2]


def test_a_new_one_is_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "b", {"plan": "p"})
    assert (journal.entries(), journal.checkpoint()) == ([], None)


def test_a_line_cut_short_does_not_count_and_is_written_anew(tmp_path: Path) -> None:
    kept(tmp_path, 0)
    kept(tmp_path, 1)
    lines = tmp_path / "points.jsonl"
    lines.write_text(lines.read_text()[:-5])
    assert len(Journal(tmp_path, {"plan": "p"}).entries()) == 1
    kept(tmp_path, 1, rounds=7)
    assert [n.get("rounds") for n, _ in Journal(tmp_path, {"plan": "p"}).entries()] == [None, 7]


def test_what_a_killed_process_left_half_written_is_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / ".path.json.1234abcd.partial").mkdir()
    kept(tmp_path, 0)
    assert len(Journal(tmp_path, {"plan": "p"}).entries()) == 1
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == [
        "checkpoint.safetensors", "path.json", "point-0000.safetensors", "points.jsonl",
    ]  # fmt: skip


def test_a_damaged_header_a_foreign_one_and_a_file_are_refused(tmp_path: Path) -> None:
    kept(tmp_path, 0)
    (tmp_path / "path.json").write_text("{")
    with pytest.raises(ValueError, match=r"path\.json is damaged; delete its folder to begin anew"):
        Journal(tmp_path, {"plan": "p"})
    (tmp_path / "path.json").write_text('{"kind": "something else"}')
    with pytest.raises(ValueError, match=r"path\.json is no checkpoint of a path; name another folder"):
        Journal(tmp_path, {"plan": "p"})
    with pytest.raises(ValueError, match=r"`checkpoint_dir` .*points\.jsonl is a file; name a folder"):
        Journal(tmp_path / "points.jsonl", {"plan": "p"})
