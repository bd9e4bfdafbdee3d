"""What becomes of a network of the zoo, and what has to be true of it."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import thinnet as tn

from ._specimen import Specimen, assert_equal, gradients
from ._structures import Zeroed, remaining, shapes, shapes_without, zero


@dataclass(frozen=True)
class Verdict:
    """A network with dead units, and it compacted; or the error that refused it by name."""

    specimen: Specimen
    original: nn.Module
    zeroed: list[Zeroed]
    small: nn.Module | None
    report: Any
    refusal: str = ""


@functools.cache  # each network is compacted once for all that is asked of it
def judge(specimen: Specimen, seed: int = 0, dtype: torch.dtype = torch.float64) -> Verdict:
    model = specimen.model(seed, dtype)
    zeroed = zero(model, specimen.units(model), seed)
    kept = copy.deepcopy(model.state_dict())
    try:
        small, report = tn.compact(model, specimen.example(seed, dtype=dtype))
    except tn.NotCompactableError as error:
        small, report, refusal = None, None, str(error)
    else:
        refusal = ""
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, kept[name], rtol=0, atol=0, msg=f"{name} of the original was changed")
    return Verdict(specimen, model, zeroed, small, report, refusal)


def assert_units_are_dead(specimen: Specimen) -> None:
    """Whatever of a dead unit is not zero can be anything: the zoo's own claim, before anyone compacts."""
    model = specimen.model()
    zeroed = [each for each in zero(model, specimen.units(model), constants=False) if not each.stays]
    scrambled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for each in zeroed:
            for (name, dim), cut in each.cuts.items():
                parameter, indices = scrambled.get_parameter(name), torch.tensor(sorted(cut))
                part = parameter.index_select(dim, indices)
                factors = 1 + torch.rand(part.shape, generator=generator, dtype=part.dtype)
                parameter.index_copy_(dim, indices, part * factors)
    assert not zeroed or any((a != b).any() for a, b in zip(model.parameters(), scrambled.parameters(), strict=True))
    assert_equal(model, scrambled, specimen.example(1))


def assert_units_mattered(specimen: Specimen) -> None:
    """A unit that did nothing before it was zeroed would prove nothing by going."""
    model, silenced = specimen.model(), specimen.model()
    for units in specimen.units(model):
        copied = copy.deepcopy(model)
        zero(copied, [units])
        zero(silenced, [units])
        try:
            assert_equal(model, copied, specimen.example(), tolerance=1e-6)
        except AssertionError:
            continue
        raise AssertionError(f"the {units.kind} at {units.members[0].name} had no part in the output")


def assert_equal_outputs(verdict: Verdict, tolerance: float = 1e-9) -> None:
    """On the example, on other random inputs, and on a batch of another size (and length, where inputs have one)."""
    assert type(verdict.small) is type(verdict.original)
    dtype = next(verdict.original.parameters()).dtype
    for seed, batch in ((0, 2), (1, 2), (2, 2), (3, 3)):
        inputs = verdict.specimen.example(seed, batch, dtype)
        assert_equal(verdict.original, verdict.small, inputs, tolerance)


def assert_equal_gradients(verdict: Verdict) -> None:
    """Of what is left of each parameter; of a rescaled one, weight times gradient is what stays the same."""
    inputs = verdict.specimen.example(4)
    before, after = gradients(verdict.original, inputs), gradients(verdict.small, inputs)
    left, compared = remaining(verdict.original, verdict.zeroed), 0
    for name, gradient in before.items():
        old, new = verdict.original.get_parameter(name).detach(), verdict.small.get_parameter(name).detach()
        for dim, kept in enumerate(left[name]):
            index = torch.tensor(kept)
            old, gradient = old.index_select(dim, index), gradient.index_select(dim, index)
        if new.shape != old.shape:
            continue  # more or less went than was zeroed, which another test says
        compared += 1
        close = 1e-8 * max(float(gradient.abs().max()), 1.0)
        rescaled = "norm" in name and torch.allclose(new * after[name], old * gradient, rtol=0, atol=close)
        if not rescaled:
            message = f"the gradient of {name} is another"
            torch.testing.assert_close(after[name], gradient, rtol=0, atol=close, msg=message)
    assert compared


def assert_only_the_zeroed_went(verdict: Verdict) -> None:
    wanted, found = shapes_without(verdict.original, verdict.zeroed), shapes(verdict.small)
    assert found == wanted, "\n".join(
        f"{name}: {shapes(verdict.original)[name]} became {found.get(name)}, not {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    )


def assert_report_is_true(verdict: Verdict) -> None:
    """What it says was removed is what the shapes say, of parameters and buffers."""
    before, after = (dict([*m.named_parameters(), *m.named_buffers()]) for m in (verdict.original, verdict.small))
    removed = {
        name: {
            dim: old - after[name].shape[dim] for dim, old in enumerate(value.shape) if old != after[name].shape[dim]
        }
        for name, value in before.items()
    }
    assert verdict.report.removed == {name: by_dim for name, by_dim in removed.items() if by_dim}
    assert str(verdict.report)


def assert_rebuilt(verdict: Verdict) -> None:
    """The recipe on a network built anew, then the state dict: no pickle between them."""
    recipe = json.loads(json.dumps(verdict.report.recipe))
    rebuilt = tn.rebuild(verdict.specimen.model(seed=7), recipe)
    rebuilt.load_state_dict(verdict.small.state_dict())
    assert_equal(verdict.original, rebuilt, verdict.specimen.example(5))


def assert_nothing_goes_unasked(specimen: Specimen) -> None:
    """Of a network without a dead unit."""
    model = specimen.model()
    small, report = tn.compact(model, specimen.example())
    assert not report.removed, f"of a network without a dead unit went {report.removed}"
    assert shapes(small) == shapes(model)
