import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.dropout import DropoutLayer, Noise


class Doubling(DropoutLayer):
    """What a layer author writes: one method."""

    seen: Noise | None = None

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        self.seen = noise
        return 2 * x


def test_it_perturbs_in_training_alone_and_above_rate_zero() -> None:
    x = torch.ones(3)
    layer = Doubling(0.5)
    assert torch.equal(layer(x), 2 * x)
    assert layer.eval()(x) is x
    assert Doubling(0.0)(x) is x


def test_the_noise_has_the_layers_generator() -> None:
    generator = torch.Generator()
    for given in (generator, None):
        layer = Doubling(0.5, generator=given)
        layer(torch.ones(1))
        assert layer.seen is not None and layer.seen.generator is given


def test_a_layer_without_perturb_cannot_be_made() -> None:
    class Nothing(DropoutLayer):
        pass

    with pytest.raises(TypeError, match=r"abstract method.*perturb"):
        Nothing()  # type: ignore[abstract]


def test_bad_settings_and_inputs_name_the_class() -> None:
    with pytest.raises(ValueError, match=r"Doubling: `p` must be in \[0, 1\], got 1\.5"):
        Doubling(1.5)
    with pytest.raises(TypeError, match=r"Doubling: `generator` must be a torch\.Generator or None, got 0"):
        Doubling(0.5, generator=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Doubling: the input must be a tensor, got list"):
        Doubling(0.5)([1.0])
    with pytest.raises(TypeError, match=r"of a floating-point type, got torch\.int64; convert it with \.float\(\)"):
        Doubling(0.5)(torch.ones(2, dtype=torch.int64))


def test_complex_inputs_are_perturbed_and_it_prints_its_rate() -> None:
    assert Doubling(0.25)(torch.ones(1, dtype=torch.complex64)).item() == 2
    assert repr(nn.Sequential(Doubling(0.25))).splitlines()[1].strip() == "(0): Doubling(p=0.25)"
    assert isinstance(tn.Dropout(), DropoutLayer)
