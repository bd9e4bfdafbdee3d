"""Families of transformers, tiny and random: what is dead goes, and nothing else changes; or a refusal by name."""

import pytest
import torch

from ._families import FAMILIES
from ._verdict import (
    Verdict,
    assert_equal_gradients,
    assert_equal_outputs,
    assert_nothing_goes_unasked,
    assert_only_the_zeroed_went,
    assert_rebuilt,
    assert_report_is_true,
    assert_units_are_dead,
    assert_units_mattered,
    judge,
)

pytest.importorskip("transformers")

EXPECTED_REFUSED: frozenset[str] = frozenset()
WANTED = {
    *("BERT", "DistilBERT", "RoBERTa", "ALBERT", "DeBERTa", "ViT", "DeiT", "Swin", "ConvNeXt", "ResNet", "RegNet"),
    *("MobileNetV2", "GPT-2", "Llama", "Mistral", "T5", "Whisper", "CLIP"),
}

every = pytest.mark.parametrize("name", FAMILIES)
each = pytest.mark.parametrize("name", [name for name in FAMILIES if name not in EXPECTED_REFUSED])


def judged(name: str, dtype: torch.dtype = torch.float64) -> Verdict:
    verdict = judge(FAMILIES[name], dtype=dtype)
    assert not verdict.refusal, verdict.refusal
    return verdict


def test_all_wanted_are_there() -> None:
    assert set(FAMILIES) >= WANTED
    assert set(FAMILIES) >= EXPECTED_REFUSED


@pytest.mark.slow
@every
def test_zeroed_units_are_dead_and_were_alive(name: str) -> None:
    assert_units_are_dead(FAMILIES[name])
    assert_units_mattered(FAMILIES[name])


@every
@pytest.mark.slow
def test_refused_only_where_expected(name: str) -> None:
    assert bool(judge(FAMILIES[name]).refusal) == (name in EXPECTED_REFUSED)


@each
@pytest.mark.slow
def test_outputs_are_equal(name: str) -> None:
    assert_equal_outputs(judged(name))


@each
@pytest.mark.slow
def test_single_precision_is_no_different(name: str) -> None:
    verdict = judged(name, torch.float32)
    assert_only_the_zeroed_went(verdict)
    assert_equal_outputs(verdict, tolerance=1e-5)


@each
@pytest.mark.slow
def test_gradients_are_equal(name: str) -> None:
    assert_equal_gradients(judged(name))


@each
@pytest.mark.slow
def test_exactly_the_zeroed_went(name: str) -> None:
    assert_only_the_zeroed_went(judged(name))


@each
@pytest.mark.slow
def test_report_is_true(name: str) -> None:
    assert_report_is_true(judged(name))


@each
@pytest.mark.slow
def test_rebuilt_from_recipe_and_state_dict(name: str) -> None:
    assert_rebuilt(judged(name))


@each
@pytest.mark.slow
def test_nothing_goes_unasked(name: str) -> None:
    assert_nothing_goes_unasked(FAMILIES[name])
