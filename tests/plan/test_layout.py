import pytest
import torch
from torch import nn

from thinnet.plan import Layout, layout_of


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Linear(4, 6), torch.ones(1, 4)),
        (nn.Conv2d(4, 6, 3), torch.ones(1, 4, 5, 5)),
        (nn.ConvTranspose2d(4, 6, 3), torch.ones(1, 4, 5, 5)),
        (nn.ConvTranspose1d(4, 6, 3), torch.ones(1, 4, 5)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_rows_of_the_view_are_the_real_outputs_and_columns_the_real_inputs(module: nn.Module, x: torch.Tensor) -> None:
    view = layout_of(module).view(module.weight)
    for output in range(6):
        with torch.no_grad():
            module.weight.fill_(1)
            module.bias.zero_()
            view[output] = 0
        y = module(x)
        assert not y[:, output].any()
        assert y[:, [o for o in range(6) if o != output]].any()
    for missing in range(4):
        with torch.no_grad():
            module.weight.fill_(1)
            view[:, missing] = 0
        only = torch.zeros_like(x)
        only[:, missing] = 1
        assert not module(only).any()


def test_an_embedding_is_the_linear_layer_of_one_hot_rows() -> None:
    embedding = nn.Embedding(5, 3)
    view = layout_of(embedding).view(embedding.weight)
    one_hot = torch.eye(5)
    torch.testing.assert_close(nn.functional.linear(one_hot, view), embedding(torch.arange(5)))


@pytest.mark.parametrize(
    ("module", "mixed"),
    [
        (nn.Conv2d(4, 8, 3, groups=2), "inputs"),
        (nn.ConvTranspose2d(4, 8, 3, groups=2), "outputs"),
    ],
)
def test_a_grouped_convolution_mixes_one_kind_of_group(module: nn.Module, mixed: str) -> None:
    layout = layout_of(module)
    assert [kind for kind in ("elements", "outputs", "inputs") if layout.mixes(kind)] == [mixed]


@pytest.mark.parametrize("transposed", [False, True])
def test_dead_nodes_of_a_grouped_convolution_are_counted_channel_by_channel(transposed: bool) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = kind(4, 8, 3, groups=2, bias=False)
    with torch.no_grad():
        if transposed:  # stored (in, out / groups, ...): rows 0 and 1 are the inputs of group 0
            module.weight[1] = 0
            module.weight[:2, 3] = 0
        else:  # stored (out, in / groups, ...): rows 0 to 3 are the outputs of group 0
            module.weight[1] = 0
            module.weight[:4, 1] = 0
    outputs, inputs = layout_of(module).dead(module.weight)
    x = torch.rand(1, 4, 6, 6)
    assert outputs == int((module(x).abs().amax((0, 2, 3)) == 0).sum()) == 1
    silent = [not module(x * (torch.arange(4) == i).view(1, 4, 1, 1)).any() for i in range(4)]
    assert inputs == sum(silent) == 1


def test_a_vector_has_dead_outputs_alone() -> None:
    assert Layout().dead(torch.tensor([0.0, 1.0, 0.0])) == (2, 0)
