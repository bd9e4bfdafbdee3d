import copy
import json
import sys
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

KINDS = ("LSTM", "GRU", "tanh", "relu")
GATES = {"LSTM": 4, "GRU": 3, "tanh": 1, "relu": 1}
CANDIDATE = {"LSTM": 2, "GRU": 2, "tanh": 0, "relu": 0}
CELLS = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell, "tanh": nn.RNNCell}
WIDTH, UNITS = 5, 8


@pytest.fixture(autouse=True)
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["thinnet.compaction._cost"], "SECONDS", 0.0)


def layer(kind: str, width: int = WIDTH, units: int = UNITS, **settings: object) -> nn.RNNBase:
    if kind in ("LSTM", "GRU"):
        return getattr(nn, kind)(width, units, **settings)
    return nn.RNN(width, units, nonlinearity=kind, **settings)


class Net(nn.Module):
    """A recurrent layer and what reads it."""

    def __init__(self, kind: str, read: Callable[[nn.Module, Tensor], Tensor], wide: int = 1, **settings: object):
        super().__init__()
        self.layer, self.read = layer(kind, **settings), read
        self.head = nn.Linear(wide * UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self, x)


def outputs(net: nn.Module, x: Tensor) -> Tensor:
    return net.head(net.layer(x)[0])


def last(net: nn.Module, x: Tensor) -> Tensor:
    states = net.layer(x)[1]
    return net.head((states[0] if isinstance(states, tuple) else states)[-1])


def net(kind: str, read: Callable[[nn.Module, Tensor], Tensor] = outputs, wide: int = 1, **settings: object) -> Net:
    torch.manual_seed(0)
    return Net(kind, read, wide, **settings).double().eval()


def example(*shape: int) -> Tensor:
    return torch.randn(*(shape or (3, 6, WIDTH)), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def names(recurrent: nn.RNNBase) -> list[str]:
    """l0, l0_reverse, l1, ..."""
    sides = ("", "_reverse") if recurrent.bidirectional else ("",)
    return [f"l{i}{side}" for i in range(recurrent.num_layers) for side in sides]


@torch.no_grad()
def silence(recurrent: nn.Module, kind: str, units: Iterable[int], cell: str = "l0", gate: int | None = None) -> None:
    """Zero the rows of one gate, the candidate's by default."""
    for name, parameter in recurrent.named_parameters():
        if name.endswith(f"_{cell}" if cell else ""):
            rows = parameter.view(GATES[kind], -1, *parameter.shape[1:])
            rows[CANDIDATE[kind] if gate is None else gate, list(units)] = 0


@torch.no_grad()
def unread(net: Net, units: Iterable[int], place: int = 0) -> None:
    """Zero whatever reads these units of the cell in this place."""
    recurrent, units = net.layer, list(units)
    every = names(recurrent)
    sides = 2 if recurrent.bidirectional else 1
    getattr(recurrent, f"weight_hh_{every[place]}")[:, units] = 0
    shifted = [UNITS * (place % sides) + unit for unit in units]
    after = every[(place // sides + 1) * sides :][:sides]
    for weight in [getattr(recurrent, f"weight_ih_{name}") for name in after] or [net.head.weight]:
        weight[:, shifted] = 0


def assert_equal(one: nn.Module, other: nn.Module, *inputs: Tensor) -> None:
    """Outputs and gradients of inputs."""
    found = []
    for module in (one, other):
        given = [x.clone().requires_grad_() for x in inputs]
        out = module(*given)
        weights = torch.arange(out.numel(), dtype=out.dtype).sin().view_as(out)
        found.append((out, *torch.autograd.grad((out * weights).sum(), given)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def assert_gradients(model: nn.Module, small: nn.Module, kept: dict[str, dict[str, list[int]]], x: Tensor) -> None:
    """What stays of every parameter has the gradient that it had."""
    for each in (model, small):
        each.zero_grad()
        each(x).sin().sum().backward()
    after = dict(small.named_parameters())
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        for dim, indices in kept.get(name, {}).items():
            gradient = gradient.index_select(int(dim), torch.tensor(indices))
        torch.testing.assert_close(after[name].grad, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "both", "batch_first", "bias"),
    [(1, False, True, True), (2, True, False, False), (2, False, True, True), (1, True, False, True)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_silent_units_go_equally_many_everywhere(
    kind: str, layers: int, both: bool, batch_first: bool, bias: bool
) -> None:
    settings = {"num_layers": layers, "bidirectional": both, "batch_first": batch_first, "bias": bias}
    model = net(kind, wide=1 + both, **settings)
    # three, two, three, ... of eight
    for place, cell in enumerate(names(model.layer)):
        silence(model.layer, kind, [1, 4] if place % 2 else [0, 3, 6], cell)
    left = 6 if layers > 1 or both else 5
    small, report = tn.compact(model, example())
    assert (small.layer.hidden_size, small.head.in_features) == (left, left * (1 + both))
    for cell in names(small.layer):
        assert getattr(small.layer, f"weight_hh_{cell}").shape == (GATES[kind] * left, left)
    assert_equal(model, small, example())
    assert_equal(model, small, example(2, 9, WIDTH))
    assert_gradients(model, small, report.recipe["kept"], example())


@pytest.mark.parametrize("kind", KINDS)
def test_units_that_nobody_reads_go(kind: str) -> None:
    model = net(kind, num_layers=2)
    unread(model, [2, 5], 0)
    unread(model, [0, 2, 7], 1)
    small, report = tn.compact(model, example())
    assert small.layer.hidden_size == 6
    assert report.recipe["kept"]["layer.weight_hh_l0"]["1"] == [0, 1, 3, 4, 6, 7]
    assert_equal(model, small, example())
    assert_gradients(model, small, report.recipe["kept"], example())


@pytest.mark.parametrize("kind", KINDS)
def test_the_layer_left_is_torchs_own_with_the_rows_of_units_that_stay(kind: str) -> None:
    model = net(kind)
    silence(model.layer, kind, [1, 6])
    small, _ = tn.compact(model, example())
    stay = [0, 2, 3, 4, 5, 7]
    rows = [gate * UNITS + unit for gate in range(GATES[kind]) for unit in stay]
    own = layer(kind, units=6).double()
    own.load_state_dict(
        {
            "weight_ih_l0": model.layer.weight_ih_l0[rows],
            "weight_hh_l0": model.layer.weight_hh_l0[rows][:, stay],
            "bias_ih_l0": model.layer.bias_ih_l0[rows],
            "bias_hh_l0": model.layer.bias_hh_l0[rows],
        }
    )
    for name, parameter in own.named_parameters():
        assert torch.equal(parameter, small.layer.get_parameter(name))
    torch.testing.assert_close(own(example())[0], model.layer(example())[0][..., stay], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_goes_of_a_layer_without_zeros(kind: str) -> None:
    model = net(kind, last, num_layers=2)
    small, report = tn.compact(model, example())
    assert report.removed == {}
    assert small.layer.hidden_size == UNITS
    assert_equal(model, small, example())


@pytest.mark.parametrize(("kind", "gate"), [("LSTM", 0), ("LSTM", 1), ("LSTM", 3), ("GRU", 0), ("GRU", 1)])
def test_a_unit_stays_whose_zero_gate_is_not_the_candidate(kind: str, gate: int) -> None:
    model = net(kind)
    silence(model.layer, kind, [1, 4], gate=gate)
    assert tn.compact(model, example())[1].removed == {}


@pytest.mark.parametrize(("kind", "goes"), [("LSTM", True), ("GRU", False), ("tanh", True), ("relu", True)])
def test_biases_that_cancel_are_none_unless_a_gate_stands_between_them(kind: str, goes: bool) -> None:
    model = net(kind)
    silence(model.layer, kind, [3])
    row = CANDIDATE[kind] * UNITS + 3
    with torch.no_grad():
        model.layer.bias_ih_l0[row], model.layer.bias_hh_l0[row] = 0.5, -0.5
    small, _ = tn.compact(model, example())
    assert small.layer.hidden_size == (7 if goes else 8)
    assert_equal(model, small, example())


@pytest.mark.parametrize("kind", KINDS)
def test_a_bias_keeps_a_unit(kind: str) -> None:
    model = net(kind)
    silence(model.layer, kind, [3])
    with torch.no_grad():
        model.layer.bias_hh_l0[CANDIDATE[kind] * UNITS + 3] = 0.5
    assert tn.compact(model, example())[1].removed == {}


@pytest.mark.parametrize("kind", KINDS)
def test_units_whose_candidates_read_only_each_other_go_together(kind: str) -> None:
    model = net(kind)
    silence(model.layer, kind, [2, 5])
    first = CANDIDATE[kind] * UNITS
    with torch.no_grad():
        model.layer.weight_hh_l0[first + 2, 5] = model.layer.weight_hh_l0[first + 5, 2] = 0.7
    small, _ = tn.compact(model, example())
    assert small.layer.hidden_size == 6
    assert_equal(model, small, example())
    with torch.no_grad():
        model.layer.weight_hh_l0[first + 5, 0] = 0.7
    assert tn.compact(model, example())[1].removed == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_as_many_go_as_the_cell_with_the_fewest_dead_units_has(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    kind = KINDS[seed % 4]
    model = net(kind, wide=2, num_layers=2, bidirectional=True, batch_first=bool(seed % 2))
    fewest = UNITS
    for place, cell in enumerate(names(model.layer)):
        order = torch.randperm(UNITS, generator=generator).tolist()
        quiet, ignored = (int(torch.randint(1, 4, (), generator=generator)) for _ in range(2))
        silence(model.layer, kind, order[:quiet], cell)
        unread(model, order[quiet - 1 : quiet - 1 + ignored], place)
        fewest = min(fewest, quiet + ignored - 1)
    small, report = tn.compact(model, example())
    assert small.layer.hidden_size == UNITS - fewest
    assert_equal(model, small, example())
    assert_gradients(model, small, report.recipe["kept"], example())
    assert tn.compact(small, example())[1].parameters == (report.parameters[1],) * 2


def both_last(net: nn.Module, x: Tensor) -> Tensor:
    states = net.layer(x)[1]
    return net.head(torch.cat([states[-2], states[-1]], 1))


def flattened(net: nn.Module, x: Tensor) -> Tensor:
    return net.head(net.layer(x)[1][-2:].transpose(0, 1).flatten(1))


def ends(net: nn.Module, x: Tensor) -> Tensor:
    out, n = net.layer(x)[0], net.layer.hidden_size
    return net.head(torch.cat([out[:, -1, :n], out[:, 0, n:]], 1))


@pytest.mark.parametrize("read", [both_last, flattened, ends])
def test_last_states_of_both_directions_may_be_read(read: Callable[[nn.Module, Tensor], Tensor]) -> None:
    model = net("GRU", read, 2, bidirectional=True, batch_first=True)
    silence(model.layer, "GRU", [1, 2, 3], "l0")
    silence(model.layer, "GRU", [0, 7], "l0_reverse")
    small, report = tn.compact(model, example())
    assert (small.layer.hidden_size, small.head.in_features) == (6, 12)
    assert_equal(model, small, example())
    assert_gradients(model, small, report.recipe["kept"], example())


def test_the_cell_state_is_read_like_the_hidden_one() -> None:
    model = net("LSTM", lambda net, x: net.head(net.layer(x)[1][1][-1]), num_layers=2)
    for cell in names(model.layer):
        silence(model.layer, "LSTM", [1, 2], cell)
    small, _ = tn.compact(model, example())
    assert small.layer.hidden_size == 6
    assert_equal(model, small, example())


def test_states_that_the_model_returns_keep_their_size() -> None:
    model = net("LSTM", lambda net, x: net.layer(x)[1][1])
    silence(model.layer, "LSTM", [1, 2])
    _, report = tn.compact(model, example())
    assert report.removed == {}
    assert any(pin.reason == "the model returns it" for pin in report.pinned)


def test_a_sequence_without_batch() -> None:
    model = net("LSTM")
    silence(model.layer, "LSTM", [1, 2])
    small, _ = tn.compact(model, example(6, WIDTH))
    assert small.layer.hidden_size == 6
    assert_equal(model, small, example(4, WIDTH))


class Begun(nn.Module):
    """An LSTM that begins with states of its user's or of its own."""

    def __init__(self, begin: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.layer, self.head, self.begin = nn.LSTM(WIDTH, UNITS, batch_first=True), nn.Linear(UNITS, 2), begin
        self.hidden, self.start = UNITS, nn.Parameter(torch.randn(1, 1, UNITS))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x, self.begin(self, x))[0])


def begun(begin: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]) -> Begun:
    torch.manual_seed(0)
    model = Begun(begin).double().eval()
    silence(model.layer, "LSTM", [1, 2])
    return model


def test_zeros_of_the_models_own_size_shrink() -> None:
    model = begun(lambda net, x: (x.new_zeros(1, x.shape[0], net.hidden), x.new_zeros(1, x.shape[0], net.hidden)))
    small, _ = tn.compact(model, example())
    assert (small.layer.hidden_size, small.hidden) == (6, 6)
    assert_equal(model, small, example())


def test_zeros_of_a_size_written_in_the_code_hold_the_units() -> None:
    model = begun(lambda net, x: (torch.zeros(1, x.shape[0], 8).to(x), torch.zeros(1, x.shape[0], 8).to(x)))
    small, report = tn.compact(model, example())
    assert report.removed == {}
    assert_equal(model, small, example())


def test_a_cell_that_begins_at_one_is_not_silent() -> None:
    model = begun(lambda net, x: (x.new_zeros(1, x.shape[0], net.hidden), x.new_ones(1, x.shape[0], net.hidden)))
    assert tn.compact(model, example())[1].removed == {}


def test_a_learned_beginning_loses_the_same_units() -> None:
    model = begun(lambda net, x: (net.start.expand(1, x.shape[0], -1).contiguous(),) * 2)
    assert tn.compact(model, example())[1].removed == {}
    with torch.no_grad():
        model.start[..., [1, 2]] = 0
    small, report = tn.compact(model, example())
    assert small.start.shape == (1, 1, 6)
    assert_equal(model, small, example())
    assert_gradients(model, small, report.recipe["kept"], example())


def test_states_that_the_user_gives_hold_the_units() -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.GRU(WIDTH, UNITS), nn.Linear(UNITS, 2)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            return self.head(self.layer(x, h)[0])

    model = Given().double().eval()
    silence(model.layer, "GRU", [1, 2])
    _, report = tn.compact(model, (example(), example(1, 6, UNITS)))
    assert report.removed == {}
    assert any(pin.reason == "begins with a state of fixed size" for pin in report.pinned)


def test_a_decoder_that_begins_with_the_encoders_states_loses_its_units() -> None:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            settings = {"num_layers": 2, "batch_first": True}
            self.encoder, self.decoder = nn.LSTM(WIDTH, UNITS, **settings), nn.LSTM(WIDTH, UNITS, **settings)
            self.head = nn.Linear(UNITS, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.decoder(x.flip(1), self.encoder(x)[1])[0])

    torch.manual_seed(0)
    model = Translator().double().eval()
    for cell, units in (("l0", [1, 2, 4]), ("l1", [0, 5])):
        silence(model.encoder, "LSTM", units, cell)
        silence(model.decoder, "LSTM", units, cell)
    small, report = tn.compact(model, example())
    assert (small.encoder.hidden_size, small.decoder.hidden_size) == (6, 6)
    assert_equal(model, small, example())
    assert_gradients(model, small, report.recipe["kept"], example())


def test_projections_hold_everything_by_name() -> None:
    model = net("LSTM", lambda net, x: net.layer(x)[0].sum(-1), proj_size=3)
    with torch.no_grad():
        for parameter in model.layer.parameters():
            parameter.zero_()
    _, report = tn.compact(model, example())
    assert not any(name.startswith("layer") for name in report.removed)
    assert any(pin.reason.startswith("proj_size") for pin in report.pinned)


def test_packed_sequences_are_refused() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.GRU(WIDTH, UNITS), nn.Linear(UNITS, 2)

        def forward(self, x: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 4, 4]))
            return self.head(self.layer(packed)[1][-1])

    with pytest.raises(tn.NotCompactableError, match="Packed cannot be traced"):
        tn.compact(Packed().double().eval(), example(6, 3, WIDTH))


class Fed(nn.Module):
    """A layer before a recurrent one in both directions."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.before, self.layer = nn.Linear(3, 6), layer(kind, 6, bidirectional=True)
        self.head = nn.Linear(2 * UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.before(x))[0])


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_no_direction_reads_go(kind: str) -> None:
    torch.manual_seed(0)
    model = Fed(kind).double().eval()
    with torch.no_grad():
        model.layer.weight_ih_l0[:, [1, 4]] = 0
        model.layer.weight_ih_l0_reverse[:, [4, 5]] = 0
    small, report = tn.compact(model, example(3, 6, 3))
    assert (small.before.out_features, small.layer.input_size) == (5, 5)
    assert_equal(model, small, example(3, 6, 3))
    assert_gradients(model, small, report.recipe["kept"], example(3, 6, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_constant_inputs_fold_into_the_bias(kind: str) -> None:
    torch.manual_seed(0)
    model = Fed(kind).double().eval()
    with torch.no_grad():
        model.before.weight[[1, 4]] = 0
    small, _ = tn.compact(model, example(3, 6, 3))
    assert (small.before.out_features, small.layer.input_size) == (4, 4)
    assert_equal(model, small, example(3, 6, 3))
    moved = model.layer.weight_ih_l0[:, [1, 4]] @ model.before.bias[[1, 4]]
    torch.testing.assert_close(small.layer.bias_ih_l0, model.layer.bias_ih_l0 + moved, rtol=1e-12, atol=1e-12)


class Loop(nn.Module):
    """A cell called step by step."""

    def __init__(self, kind: str, bias: bool) -> None:
        super().__init__()
        self.layer, self.head = CELLS[kind](WIDTH, UNITS, bias), nn.Linear(UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.layer(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_lose_silent_and_unread_units(kind: str, bias: bool) -> None:
    torch.manual_seed(0)
    model = Loop(kind, bias).double().eval()
    assert tn.compact(model, example(3, 4, WIDTH))[1].removed == {}
    silence(model.layer, kind, [1, 2], "")
    with torch.no_grad():
        model.layer.weight_hh[:, [5]] = model.head.weight[:, [5]] = 0
    small, report = tn.compact(model, example(3, 4, WIDTH))
    assert (small.layer.hidden_size, small.head.in_features) == (5, 5)
    assert_equal(model, small, example(2, 4, WIDTH))
    assert_gradients(model, small, report.recipe["kept"], example(3, 4, WIDTH))


def test_a_recipe_rebuilds_the_layer_and_its_list_of_weights() -> None:
    model = net("LSTM", wide=2, num_layers=2, bidirectional=True)
    for cell in names(model.layer):
        silence(model.layer, "LSTM", [1, 6], cell)
    small, report = tn.compact(model, example())
    again = tn.rebuild(net("LSTM", wide=2, num_layers=2, bidirectional=True), json.loads(json.dumps(report.recipe)))
    again.load_state_dict(small.state_dict())
    assert repr(again.layer) == repr(small.layer)
    assert torch.equal(again(example()), small(example()))
    for each in (small, again, copy.deepcopy(small), copy.deepcopy(again).float().double()):
        flat, named = each.layer._flat_weights, [p for _, p in each.layer.named_parameters()]
        assert all(one is other for one, other in zip(flat, named, strict=True))
        # what runs are these weights, not others of the same values
        with torch.no_grad():
            each.layer.weight_ih_l0.mul_(2)
        assert not torch.equal(each(example()), model(example()))


def test_cudnn_gets_the_weights_in_one_piece_after_they_shrank(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net("GRU")
    silence(model.layer, "GRU", [1, 6])
    seen = []

    def record(self: nn.GRU) -> None:
        seen.append((self.hidden_size, self.weight_hh_l0.shape))

    monkeypatch.setattr(nn.GRU, "flatten_parameters", record)
    tn.compact(model, example())
    assert (6, (18, 6)) in seen


def test_groups_of_a_recurrent_layer_make_its_units_go() -> None:
    model = net("LSTM")
    rule = tn.groups(model, example())
    assert {"layer.weight_hh_l0", "head.weight"} <= set(rule.members)
    with torch.no_grad():
        for name, (dim, numbers) in rule.members.items():
            chosen = [place for place, number in enumerate(numbers) if number in (0, 3)]
            model.get_parameter(name).index_fill_(dim, torch.tensor(chosen), 0)
    small, _ = tn.compact(model, example())
    assert small.layer.hidden_size == 6
    assert_equal(model, small, example())
