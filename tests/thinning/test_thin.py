import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from torch import Generator, Tensor, nn
from torch.nn import functional as F

import thinnet as tn
from thinnet.thinning import node_sets


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def perceptron(*, dtype: torch.dtype = torch.float64, dropout: float | None = None) -> nn.Sequential:
    torch.manual_seed(1)
    layers = [
        nn.Linear(6, 8),
        nn.GELU(),
        nn.Dropout(dropout or 0),
        nn.Linear(8, 10),
        nn.Tanh(),
        nn.Dropout(dropout or 0),
    ]
    kept = [layer for layer in layers if dropout or not isinstance(layer, nn.Dropout)]
    return nn.Sequential(*kept, nn.Linear(10, 3)).to(dtype)


def mask(sets: list[Tensor], n: int, rows: int, p: float) -> Tensor:
    """(rows, n): 1/(1 − p) for the nodes that stay in a row's group."""
    parts = [torch.zeros(len(part), n, dtype=torch.float64) for part in torch.arange(rows).tensor_split(len(sets))]
    for part, nodes in zip(parts, sets, strict=True):
        part[:, nodes] = 1 / (1 - p)
    return torch.cat(parts)


def masked_perceptron(model: nn.Sequential, x: Tensor, p: float, input_p: float, groups: int) -> Tensor:
    """The dense network times masks of the same node sets."""
    generator, layers = seeded(), [layer for layer in model if isinstance(layer, nn.Linear)]
    x = tn.Dropout(input_p, generator=generator)(x)
    for layer, f, rate in zip(layers, (F.gelu, torch.tanh, lambda y: y), (0, p, p), strict=True):
        if rate:
            x = x * mask(node_sets(x.shape[1], rate, groups, generator=generator), x.shape[1], len(x), rate)
        x = f(layer(x))
    return x


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize(("p", "input_p"), [(0.5, 0.0), (0.3, 0.2), (0.0, 0.5)])
def test_it_is_the_dense_network_with_nodes_masked(p: float, input_p: float, groups: int) -> None:
    dense, x = perceptron(), torch.randn(7, 6, dtype=torch.float64)
    thin = tn.thin_(copy.deepcopy(dense), p, input_p, groups=groups, generator=seeded())
    for expected_x, ours_x in [(x.clone().requires_grad_(), x.clone().requires_grad_())]:
        expected, ours = masked_perceptron(dense, expected_x, p, input_p, groups), thin(ours_x)
        torch.testing.assert_close(ours, expected)
        up = torch.randn_like(expected)
        expected.backward(up)
        ours.backward(up)
        torch.testing.assert_close(ours_x.grad, expected_x.grad)
    for a, b in zip(thin.parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_with_channels_masked(d: int, groups: int) -> None:
    torch.manual_seed(0)
    conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[d - 1]
    pool: Any = (nn.MaxPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool3d)[d - 1]
    dense = nn.Sequential(conv(2, 8, 3, padding=1, padding_mode="circular"), nn.ReLU(), pool(2), conv(8, 4, 2)).double()
    x = torch.randn(5, 2, *(4,) * d, dtype=torch.float64)
    thin = tn.thin_(copy.deepcopy(dense), 0.5, groups=groups, generator=seeded())
    kept = mask(node_sets(8, 0.5, groups, generator=seeded()), 8, 5, 0.5)
    expected = dense[3](dense[:3](x) * kept.reshape(5, 8, *(1,) * d))
    ours = thin(x)
    torch.testing.assert_close(ours, expected)
    up = torch.randn_like(expected)
    for a, b in zip(
        *(torch.autograd.grad(y, m.parameters(), up) for y, m in ((ours, thin), (expected, dense))), strict=True
    ):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(thin.eval()(x), dense(x), rtol=0, atol=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_normalization_of_the_channels_that_stay(groups: int) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    dense = nn.Sequential(nn.Conv2d(1, 8, 3), norm, nn.ReLU(), nn.Conv2d(8, 2, 2)).double()
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    thin = tn.thin_(copy.deepcopy(dense), 0.5, groups=groups, generator=seeded())
    before = copy.deepcopy(norm)
    x = torch.randn(6, 1, 5, 5, dtype=torch.float64)
    sets = node_sets(8, 0.5, groups, generator=seeded())
    expected = []
    for part, nodes in zip(x.tensor_split(groups), sets, strict=True):
        alone = copy.deepcopy(before)
        h = F.relu(alone(dense[0](part))) * mask([nodes], 8, 1, 0.5).reshape(1, 8, 1, 1)
        expected.append(dense[3](h))
    y = thin(x)
    torch.testing.assert_close(y, torch.cat(expected))
    assert int(thin[1].num_batches_tracked) == 1
    removed = torch.ones(8, dtype=torch.bool)
    removed[torch.cat(sets)] = False
    torch.testing.assert_close(thin[1].running_mean[removed], before.running_mean[removed], rtol=0, atol=0)
    for part, nodes in zip(x.tensor_split(groups), sets, strict=True):
        alone = copy.deepcopy(before)
        alone(dense[0](part))
        torch.testing.assert_close(thin[1].running_mean[nodes], alone.running_mean[nodes])
        torch.testing.assert_close(thin[1].running_var[nodes], alone.running_var[nodes])
    y.square().sum().backward()
    assert not thin[1].weight.grad[removed].any() and thin[1].weight.grad.any()
    dense.load_state_dict(thin.state_dict())
    torch.testing.assert_close(thin.eval()(x), dense.eval()(x), rtol=0, atol=0)


def test_a_gate_and_its_nodes_go_together() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up, self.down = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.down(F.silu(self.gate(x)) * self.up(x))

    torch.manual_seed(0)
    dense, x = Gated().double(), torch.randn(3, 5, 4, dtype=torch.float64)
    thin = tn.thin_(copy.deepcopy(dense), 0.5, generator=seeded())
    kept = mask(node_sets(8, 0.5, generator=seeded()), 8, 1, 0.5)
    torch.testing.assert_close(thin(x), x + dense.down(F.silu(dense.gate(x)) * dense.up(x) * kept))


def test_the_feed_forward_block_of_a_transformer() -> None:
    torch.manual_seed(0)
    dense = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True).double()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    thin = tn.thin_(copy.deepcopy(dense), 0.25, generator=seeded())
    kept = mask(node_sets(16, 0.25, generator=seeded()), 16, 1, 0.25)
    h = x + dense._sa_block(dense.norm1(x), None, None)
    torch.testing.assert_close(thin(x), h + dense.linear2(F.relu(dense.linear1(dense.norm2(h))) * kept))
    with torch.no_grad():
        torch.testing.assert_close(thin.eval()(x), dense.eval()(x), rtol=0, atol=0)


def test_same_parameters_state_dict_and_optimizer() -> None:
    model = perceptron(dropout=0.5)
    before, parameters, keys = copy.deepcopy(model), list(model.parameters()), list(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert tn.thin_(model, 0.5) is model
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert list(model.state_dict()) == keys
    model(torch.randn(2, 6, dtype=torch.float64)).sum().backward()
    optimizer.step()
    fresh = perceptron(dropout=0.5)
    fresh.load_state_dict(model.state_dict())
    model.load_state_dict(before.state_dict())
    x = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(model.eval()(x), before.eval()(x), rtol=0, atol=0)


def test_a_model_in_eval_mode_stays_in_it() -> None:
    dense, x = perceptron(dropout=0.5).eval(), torch.randn(4, 6, dtype=torch.float64)
    thin = tn.thin_(copy.deepcopy(dense), 0.5, 0.2)
    assert not any(module.training for module in thin.modules())
    torch.testing.assert_close(thin(x), dense(x), rtol=0, atol=0)


def test_removed_nodes_have_no_gradient_and_two_halves_train_all() -> None:
    thin = tn.thin_(perceptron(), 0.5)
    thin(torch.randn(4, 6, dtype=torch.float64)).sum().backward()
    alive = (thin[0].weight.grad != 0).any(1)
    assert int(alive.sum()) == 4
    assert torch.equal((thin[2].weight.grad != 0).any(0), alive)
    halves = tn.thin_(perceptron(), 0.5, groups=2)
    halves(torch.randn(4, 6, dtype=torch.float64)).sum().backward()
    assert bool((halves[0].weight.grad != 0).any(1).all())


def test_the_expectation_is_the_dense_networks() -> None:
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(5, 7), nn.Identity(), nn.Linear(7, 2)).double()
    thin, x = tn.thin_(copy.deepcopy(dense), 0.4, 0.3, generator=seeded()), torch.randn(1, 5, dtype=torch.float64)
    with torch.no_grad():
        draws = torch.cat([thin(x) for _ in range(4000)])
        error = (draws.mean(0) - dense(x)[0]).abs() / (draws.std(0) / len(draws) ** 0.5)
    assert bool((error < 5).all())


def test_rates_by_layer_and_the_rates_that_stand_there() -> None:
    model = tn.thin_(perceptron(), {"0": 0.25, "*": 0.5})
    assert (model[2].nodes.p, model[4].nodes.p) == (0.25, 0.5)
    only = tn.thin_(perceptron(dropout=0.2), {"3": 0.5})
    assert type(only[0]) is nn.Linear and type(only[2]) is nn.Dropout and type(only[5]) is nn.Identity
    shared = perceptron(dropout=0.2)
    shared[5] = shared[2]
    with pytest.raises(ValueError, match=r"Dropout '2' is before '3' too, which is not thinned; give each layer"):
        tn.thin_(shared, {"3": 0.5})
    standing = tn.thin_(shared, None)
    assert type(standing[5]) is nn.Identity
    assert standing[3].nodes.p == pytest.approx(0.2)
    assert type(standing[2]) is nn.Identity


def test_a_rate_changed_later_counts() -> None:
    thin, x = tn.thin_(perceptron(), 0.5), torch.randn(4, 6, dtype=torch.float64)
    for layer in (thin[2], thin[4]):
        layer.nodes.p = 0.0
    torch.testing.assert_close(thin(x), perceptron()(x), rtol=0, atol=0)
    thin[4].nodes.p = 1.0
    torch.testing.assert_close(thin(x), thin[4].bias.expand(4, 3), rtol=0, atol=0)


def test_parts_in_eval_mode_and_an_interrupted_forward() -> None:
    thin, dense, x = tn.thin_(perceptron(), 0.5), perceptron(), torch.randn(4, 6, dtype=torch.float64)
    thin[0].eval()
    thin[4].eval()
    thin[2].nodes.eval()
    assert thin(x).shape == (4, 3)
    thin.train()
    thin[0](x)  # draws, and nobody reads
    torch.testing.assert_close(thin.eval()(x), dense(x), rtol=0, atol=0)


def test_a_row_without_a_batch() -> None:
    dense, x = perceptron(), torch.randn(6, dtype=torch.float64)
    y = tn.thin_(copy.deepcopy(dense), 0.5, groups=2, generator=seeded())(x)
    sets = seeded()
    for layer, f, rate in ((dense[0], F.gelu, 0), (dense[2], torch.tanh, 0.5), (dense[4], lambda y: y, 0.5)):
        if rate:
            x = x * mask(node_sets(len(x), rate, 2, generator=sets)[:1], len(x), 1, rate)[0]
        x = f(layer(x))
    torch.testing.assert_close(y, x)


def test_randomness_is_explicit_and_copies_are_apart() -> None:
    x = torch.randn(4, 6, dtype=torch.float64)
    own = tn.thin_(perceptron(), 0.5, generator=seeded(3))
    before = torch.get_rng_state()
    first = own(x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(tn.thin_(perceptron(), 0.5, generator=seeded(3))(x), first, rtol=0, atol=0)
    model = tn.thin_(perceptron(), 0.5)
    twin = copy.deepcopy(model)
    assert twin[0].link_out is twin[2].link_in and twin[0].link_out is not model[0].link_out
    torch.manual_seed(0)
    expected = model(x)
    torch.manual_seed(0)
    torch.testing.assert_close(twin(x), expected, rtol=0, atol=0)


def train(model: nn.Module, forward: Callable[[Tensor], Tensor]) -> nn.Module:
    """Five steps under L1, max-norm and decay inside Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    tn.attach(model, tn.Plan(tn.L1(0.01) + tn.MaxNorm(0.8) + tn.WeightDecay(0.1)), optimizer)
    for step in range(5):
        optimizer.zero_grad()
        forward(torch.randn(8, 6, dtype=torch.float64, generator=seeded(step))).square().sum().backward()
        optimizer.step()
    return model


def test_under_attach_it_trains_as_the_masked_dense_network() -> None:
    thin, dense = perceptron(), perceptron()
    tn.thin_(thin, 0.5, generator=seeded())
    generator = seeded()

    def masked(x: Tensor) -> Tensor:
        for layer, f, rate in ((dense[0], F.gelu, 0), (dense[2], torch.tanh, 0.5), (dense[4], lambda y: y, 0.5)):
            if rate:
                x = x * mask(node_sets(x.shape[1], rate, generator=generator), x.shape[1], len(x), rate)
            x = f(layer(x))
        return x

    start = [w.clone() for w in dense.parameters()]
    for a, b, w in zip(train(thin, thin).parameters(), train(dense, masked).parameters(), start, strict=True):
        torch.testing.assert_close(a, b)
        assert not torch.equal(a, w)


def test_checkpointing_draws_the_same_nodes_again() -> None:
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    model = tn.thin_(perceptron(), 0.5)
    torch.manual_seed(0)
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    torch.manual_seed(0)
    y = torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_it_draws_anew_and_compiles_once_for_each_mode(backend: str) -> None:
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    model = tn.thin_(perceptron(), 0.5)
    compiled, x = torch.compile(model, backend=counter), torch.randn(4, 6, dtype=torch.float64)
    torch.manual_seed(0)
    first, second = compiled(x), compiled(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    torch.testing.assert_close(model(x), first)
    compiled.eval()
    torch.testing.assert_close(compiled(x), perceptron()(x))
    frames = counter.frame_count
    for training in (True, False, True, False):
        compiled.train(training)
        compiled(x)
    assert counter.frame_count == frames
    torch._dynamo.reset()


def test_samples_of_its_predictions_are_dropouts() -> None:
    model, x = tn.thin_(perceptron(dtype=torch.float32), 0.5), torch.randn(5, 6)
    pred = tn.mc_predict(model, x, samples=200, seed=0)
    again = tn.mc_predict(model, x, samples=200, seed=0, batch_size=2)
    torch.testing.assert_close(pred.samples, again.samples)
    assert bool((pred.std > 0).all())


def test_errors_say_what_and_why() -> None:
    whole = r"nothing to thin in Sequential with p=0.5, input_p=0.0: .*\ninput -> 0\n2 keeps its inputs: LayerNorm"
    with pytest.raises(ValueError, match=whole):
        tn.thin_(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1)))
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got 1.5"):
        tn.thin_(perceptron(), 1.5)
    with pytest.raises(ValueError, match=r"`input_p` must be in \[0, 1\], got -1"):
        tn.thin_(perceptron(), 0.5, -1)
    with pytest.raises(TypeError, match=r"`p` must be a number"):
        tn.thin_(perceptron(), "0.5")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"`p` has 'fc\*', which matches no layer that produces removable nodes: 0, 2\."
    ):
        tn.thin_(perceptron(), {"fc*": 0.5})
    with pytest.raises(ValueError, match=r"`groups` must be an integer >= 1, got 0"):
        tn.thin_(perceptron(), groups=0)
    with pytest.raises(ValueError, match=r"thin already; load its state dict into a new one"):
        tn.thin_(tn.thin_(perceptron()))
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    with pytest.raises(ValueError, match=r"`input_p` is 0.2, but no Linear alone consumes the model's inputs"):
        tn.thin_(conv, 0.5, 0.2)
    with pytest.raises(ValueError, match=r"p=None takes the rates of dropout layers; there are none"):
        tn.thin_(perceptron(), None)
    with pytest.raises(ValueError, match=r"no rate is above 0"):
        tn.thin_(perceptron(), 0)
    with pytest.raises(ValueError, match=r"thin_: `p`\['0'\] must be in \[0, 1\], got 2"):
        tn.thin_(perceptron(), {"0": 2})
    with pytest.raises(ValueError, match=r"thin_: `input_p` must be in \[0, 1\], got 3"):
        tn.thin_(perceptron(), 0.5, 3)
    with pytest.raises(TypeError, match=r"`model` must be a torch.nn.Module, got str"):
        tn.thin_("model")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"nothing to thin in LSTM .*\nno linear layers"):
        tn.thin_(nn.LSTM(2, 3))
    assert type(conv[0]) is nn.Conv2d  # refused before anything was changed


IN_PROCESS = """
import json, sys, torch, thinnet as tn
from torch import nn

def gradients(rank, parallel):
    torch.manual_seed(5)
    model = tn.thin_(nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)).double(), 0.5)
    model = nn.parallel.DistributedDataParallel(model) if parallel else model
    torch.manual_seed(rank)
    model(torch.randn(4, 6, dtype=torch.float64)).square().sum().backward()
    return [parameter.grad.tolist() for parameter in model.parameters()]

rank, file = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", f"file://{file}", rank=rank, world_size=2)
print(json.dumps([gradients(rank, True), gradients(rank, False)]))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_remove_nodes_of_their_own_and_average_the_gradients(tmp_path: Path) -> None:
    words = [[sys.executable, "-c", IN_PROCESS, str(rank), str(tmp_path / "meeting")] for rank in range(2)]
    processes = [subprocess.Popen(rank, stdout=subprocess.PIPE, text=True) for rank in words]
    outs = [process.communicate(timeout=300)[0] for process in processes]
    (together, first), (also, second) = (json.loads(out.splitlines()[-1]) for out in outs)
    assert first != second
    for mean, same, a, b in zip(together, also, first, second, strict=True):
        a, b = torch.tensor(a), torch.tensor(b)
        torch.testing.assert_close(torch.tensor(mean), (a + b) / 2)
        assert mean == same
