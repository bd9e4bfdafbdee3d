import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from thinnet.errors import CheckpointError
from thinnet.tabular import Progress, ThinNetClassifier
from thinnet.tabular._checkpoint import Checkpoint, read_metadata

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
Y = (X[:, 0] + RNG.normal(size=200) > 0).astype(int)
SETTINGS = {"n_configurations": 4, "cv": 2, "hidden": (8,), "max_steps": 200, "time_limit": None, "random_state": 0}


def interrupt_at(share: float):
    def callback(progress: Progress) -> None:
        if progress.phase.startswith("selecting") if share == 1 else progress.members and progress.fraction >= share:
            signal.raise_signal(signal.SIGINT)

    return callback


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 1])
def test_an_interrupted_fit_goes_on_to_the_same_end(share: float, tmp_path: Path) -> None:
    file = tmp_path / "fit.checkpoint"
    straight = ThinNetClassifier(**SETTINGS).fit(X, Y)
    first = ThinNetClassifier(**SETTINGS, checkpoint=file, callback=interrupt_at(share))
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, Y)
    assert file.exists()
    assert first.predict_proba(X).shape == (200, 2)  # fitted with the best so far
    assert first.notes_[-1] == "training was interrupted: this is the best found until then"
    second = ThinNetClassifier(**SETTINGS, checkpoint=file).fit(X, Y)
    assert not file.exists()
    assert_array_equal(second.predict_proba(X), straight.predict_proba(X))
    pd.testing.assert_frame_equal(second.leaderboard_, straight.leaderboard_)


@pytest.mark.slow
def test_a_finished_fit_leaves_no_file_and_repeats_exactly(tmp_path: Path) -> None:
    file = tmp_path / "fit.checkpoint"
    once = ThinNetClassifier(**SETTINGS, checkpoint=file).fit(X, Y)
    assert list(tmp_path.iterdir()) == []
    assert_array_equal(ThinNetClassifier(**SETTINGS).fit(X, Y).predict_proba(X), once.predict_proba(X))


def test_what_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fit.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        ThinNetClassifier(**SETTINGS, checkpoint=file, callback=interrupt_at(0.3)).fit(X, Y)
    with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
        ThinNetClassifier(**SETTINGS, checkpoint=file).fit(X[::-1], Y)
    with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
        ThinNetClassifier(**SETTINGS | {"n_configurations": 5}, checkpoint=file).fit(X, Y)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"is no whole checkpoint .* Delete it to start anew"):
        ThinNetClassifier(**SETTINGS, checkpoint=file).fit(X, Y)


@pytest.mark.slow
def test_a_full_disk_ends_the_writing_not_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thinnet.tabular._checkpoint._SECONDS", 0.0)
    monkeypatch.setattr("os.fsync", full)
    model = ThinNetClassifier(**SETTINGS, checkpoint=tmp_path / "fit.checkpoint").fit(X, Y)
    assert list(tmp_path.iterdir()) == []
    assert model.notes_[-1] == "the checkpoint could not be written: [Errno 28] No space left on device"


def test_states_come_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "fit.checkpoint"
    states = [({"w": torch.arange(6.0).view(2, 3).t()}, {"step": 3}), ({}, {"alive": [1, 2]})]
    Checkpoint(file, b"table", metadata="found").save(states)
    assert read_metadata(file) == ("found", True)
    back = Checkpoint(file, b"table").load()
    assert [plain for _, plain in back] == [{"step": 3}, {"alive": [1, 2]}]
    assert [list(tensors) for tensors, _ in back] == [["w"], []]
    torch.testing.assert_close(back[0][0]["w"], states[0][0]["w"], rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="belongs to another table"):
        Checkpoint(file, b"tab", b"le").load()
    assert [each.name for each in file.parent.iterdir()] == ["fit.checkpoint"]


def test_a_file_without_states_suits_any_training_that_found_the_same_before(tmp_path: Path) -> None:
    file = tmp_path / "fit.checkpoint"
    assert read_metadata(file) == ("", False)
    Checkpoint(file, metadata="found").save([])
    assert read_metadata(file) == ("found", False)
    assert Checkpoint(file, b"table", metadata="found").load() == []
    with pytest.raises(CheckpointError, match="belongs to another table"):
        Checkpoint(file, b"table", metadata="other").load()
