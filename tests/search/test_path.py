import itertools
import math
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import enet_path, lasso_path
from torch import Tensor, nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.errors import NoEffectWarning
from thinnet.search._gradient_recorder import Recorder

from .networks import convolutional, gradient_descent, images, linear, perceptron, regression

INPUTS = tn.Plan({"0.weight": tn.GroupLasso(1.0, by="inputs")})


def exact(plan: tn.Plan, **more: object) -> tn.RegularizationPath:
    """The path of a linear model, every point at its optimum."""
    problem = regression()
    settings = {"direction": "down", "polish": problem.loss, **more}
    return tn.path(linear, plan, None, problem.losses, **settings)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_fifty_strengths_are_those_and_the_coefficients_of_coordinate_descent(share: float) -> None:
    plan = tn.Plan(tn.L1(1.0)) if share == 1 else tn.Plan(tn.L1(share) + tn.L2(1 - share))
    path = exact(plan, n_strengths=50, eps=1e-3)
    problem = regression()
    x, y = problem.x.numpy(), problem.y.numpy().ravel()
    x, y = x - x.mean(0), y - y.mean()  # the intercept is free
    alphas = [point.strength for point in path.points]
    find = lasso_path if share == 1 else enet_path
    more = {} if share == 1 else {"l1_ratio": share}
    # what is a hair under the strength at which all is zero may be either
    found, coefficients, _ = find(x, y, alphas=alphas, tol=1e-13, max_iter=100_000, **more)
    np.testing.assert_allclose(alphas, found)
    assert alphas[0] == pytest.approx(np.abs(x.T @ y).max() / len(x) / share, rel=1e-5)
    for point, expected in zip(path.points, coefficients.T, strict=True):
        weights = point.model().weight.detach().numpy().ravel()
        np.testing.assert_allclose(weights, expected, atol=1e-4)
        clear = np.abs(expected) > 1e-6
        assert (weights[clear] != 0).all()
        assert (weights[expected == 0] == 0).all()


@pytest.mark.parametrize(
    ("make", "plan", "problem"),
    [
        (linear, tn.Plan(tn.L1(1.0)), regression()),
        (linear, tn.Plan(tn.L1(0.3) + tn.GroupLasso(0.7)), regression()),
        (perceptron, INPUTS, regression()),
        (convolutional, tn.Plan({"0.weight": tn.GroupLasso(2.0)}), images()),
        (convolutional, tn.Plan({"4.weight": tn.GroupLasso(0.5, by="inputs")}), images()),
    ],
    ids=["linear", "both", "perceptron", "convolution", "channels"],
)
def test_zero_is_optimal_from_the_largest_strength_on_and_not_below(make, plan, problem) -> None:
    found = tn.path(
        make, plan, problem.fit, problem.losses,
        direction="down", n_strengths=1, optimizer=gradient_descent(0.1), first_rounds=400, patience=50,
    )  # fmt: skip
    top = found.points[0].strength
    for factor, left in ((1.001, False), (0.95, True)):
        path = tn.path(
            make, plan, problem.fit, problem.losses, strengths=[factor * top],
            direction="down", optimizer=gradient_descent(0.1), first_rounds=400, patience=50,
        )  # fmt: skip
        assert bool(path.points[0].nonzero) is left


def test_on_the_way_down_the_rest_stays_as_it_was_trained_until_something_comes_in() -> None:
    problem = regression()
    known = False

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        nonlocal known
        optimizer.zero_grad()
        # half the gradient once the largest strength is known: a little below it nothing comes in
        ((0.5 if known else 1.0) * problem.loss(model)).backward()
        known = known or isinstance(optimizer, Recorder)
        optimizer.step()
        with torch.no_grad():
            model[2].bias.add_(0.01)  # and something drifts

    path = tn.path(
        perceptron, INPUTS, fit, problem.losses, direction="down", optimizer=gradient_descent(0.05),
        n_strengths=5, eps=0.2, first_rounds=6, rounds=3, patience=9,
    )  # fmt: skip
    assert [point.nonzero > 0 for point in path.points] == [False, False, True, True, True]
    assert [point.rounds for point in path.points] == [6, 6, 6, 3, 3]  # what comes in first is trained from scratch
    first, second = (point.state() for point in path.points[:2])
    for name, tensor in first.items():
        assert tensor.equal(second[name])
    assert not first["2.bias"].equal(path.points[2].state()["2.bias"])


def test_on_the_way_up_nothing_left_is_no_reason_to_begin_anew() -> None:
    problem = regression()
    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, strengths=[0.1, 50.0, 60.0],
        optimizer=gradient_descent(0.1), first_rounds=20, rounds=2, patience=20,
    )  # fmt: skip
    assert [point.nonzero > 0 for point in path.points] == [True, False, False]
    assert [point.rounds for point in path.points] == [20, 2, 2]


def test_a_point_ends_when_a_round_gains_nothing_over_its_start() -> None:
    problem = regression()
    harm = 0.0

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        problem.fit(model, optimizer)
        with torch.no_grad():
            model.bias.add_(harm)

    def worse(_: tn.Point) -> None:
        nonlocal harm
        harm += 5.0

    settings = {"strengths": [0.1, 0.11, 0.12], "optimizer": gradient_descent(0.1), "rounds": 6, "average": 0}
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **settings, first_rounds=5, callback=worse)
    assert [point.rounds for point in path.points] == [5, 1, 1]
    harm = 0.0
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **settings, first_rounds=5)
    assert [point.rounds for point in path.points] == [5, 6, 6]


def test_the_strengths_go_up_from_the_dense_network_until_nothing_is_left() -> None:
    problem = regression()
    path = tn.path(perceptron, INPUTS, problem.fit, problem.losses, n_strengths=8, optimizer=gradient_descent(0.2))
    strengths = [point.strength for point in path.points]
    assert strengths[0] == 0
    assert strengths == sorted(strengths)
    ratios = [b / a for a, b in itertools.pairwise(strengths[1:])]
    assert ratios == pytest.approx([1000 ** (1 / 7)] * len(ratios))
    assert path.points[0].groups == {"0.weight": 8}
    assert path.points[-1].groups == {"0.weight": 0}
    assert all(point.nonzero for point in path.points[:-1])
    assert path.best.error < 0.5 * path.points[-1].error


@pytest.mark.parametrize(("bias", "stuck"), [(False, "0.weight, 2.weight"), (True, "0.weight")])
def test_layers_that_feed_each_other_cannot_leave_zero_and_are_refused(bias: bool, stuck: str) -> None:
    problem = regression()

    def two() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 6, bias=bias), nn.Tanh(), nn.Linear(6, 1)).double()

    with pytest.raises(ValueError, match=rf'no gradient reaches {stuck}, at any strength .* use direction="up"'):
        tn.path(two, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, direction="down", first_rounds=3)


def test_warm_starts_carry_weights_and_momenta() -> None:
    problem, seen = regression(), []

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        seen.append(next(iter(optimizer.state.values()))["step"].item() if optimizer.state else 0)
        problem.fit(model, optimizer)

    tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, strengths=[0.1, 0.2], rounds=3, first_rounds=4)
    assert seen == [0, 1, 2, 3, 4, 5, 6]


def test_a_point_is_the_network_with_its_zeros_and_its_error() -> None:
    problem = regression()
    for point in exact(tn.Plan(tn.L1(1.0)), n_strengths=6).points:
        model = point.model()
        assert not model.training
        assert int(model.weight.count_nonzero()) == point.nonzero
        assert point.zeros == 8 - point.nonzero
        assert point.error == pytest.approx(float(problem.loss(model).detach()))
        assert point.se == pytest.approx(float(problem.losses(model).detach().std()) / math.sqrt(60))
        assert point.norm == pytest.approx(float(model.weight.detach().norm()))


def test_the_choice_is_the_strongest_within_one_standard_error() -> None:
    path = exact(tn.Plan(tn.L1(1.0)), n_strengths=30)
    errors = {point.strength: point.error for point in path.points}
    assert path.best.error == min(errors.values())
    limit = path.best.error + path.best.se
    assert path.one_se.strength == max(strength for strength, error in errors.items() if error <= limit)
    assert path.one_se.nonzero < path.best.nonzero


def test_one_number_has_no_standard_error() -> None:
    problem = regression()
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.loss, strengths=[0.1], first_rounds=2)
    assert math.isnan(path.points[0].se)
    with pytest.raises(ValueError, match="returned one number, of which there is no standard error"):
        _ = path.one_se


def test_features_leave_in_the_order_of_their_weight() -> None:
    leaves = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=40).leaves("weight")
    assert leaves.argsort(descending=True)[:3].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="'bias' is no weight under GroupLasso; there is weight"):
        exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=2).leaves("bias")


def test_a_refit_undoes_shrinkage_and_keeps_zeros() -> None:
    problem = regression()
    common = {"strengths": [0.3], "optimizer": gradient_descent(0.3), "first_rounds": 300, "patience": 30}
    shrunk = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, **common).points[0]
    point = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, refit=300, **common).points[0]
    kept = point.model().weight.detach().ravel() != 0
    torch.testing.assert_close(kept, shrunk.model().weight.detach().ravel() != 0)
    design = torch.cat([problem.x[:, kept], torch.ones(60, 1, dtype=torch.float64)], 1)
    expected = torch.linalg.lstsq(design, problem.y).solution[:-1].ravel()
    torch.testing.assert_close(point.model().weight.detach().ravel()[kept], expected, atol=1e-4, rtol=1e-4)
    assert point.error < shrunk.error


def test_any_scalar_can_be_varied() -> None:
    problem = regression()

    def ridge(model: nn.Module, strength: float) -> tn.Plan:
        return tn.Plan(tn.L2(strength))

    def dropped() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.0), linear())

    def rate(model: nn.Module, p: float) -> None:
        model[0].p = p

    path = tn.path(
        linear, ridge, problem.fit, problem.losses, strengths=[0.0, 1.0, 10.0],
        optimizer=gradient_descent(0.05), rounds=400, first_rounds=400, patience=40,
    )  # fmt: skip
    x, y = problem.x - problem.x.mean(0), problem.y - problem.y.mean()
    for point in path.points:
        gram = x.T @ x / 60 + point.strength * torch.eye(8, dtype=torch.float64)
        expected = torch.linalg.solve(gram, x.T @ y / 60).ravel()
        torch.testing.assert_close(point.model().weight.detach().ravel(), expected, atol=1e-3, rtol=1e-3)
    rates = tn.path(dropped, rate, problem.fit, problem.losses, strengths=[0.0, 0.5], first_rounds=2, rounds=2)
    assert [point.model()[0].p for point in rates.points] == [0.0, 0.5]


def test_folds_are_members_of_one_stack() -> None:
    problem = regression(rows=60)
    fold = torch.arange(60) % 3
    weights = torch.stack([(fold != k).double() for k in range(3)])

    def make() -> nn.Module:
        members = [tn.Member(seed=k) for k in range(3)]
        return tn.Stack(members, in_features=8, hidden=[6], out_features=1, dtype=torch.float64)

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        optimizer.zero_grad()
        tn.stack_squared_error(model(problem.x), problem.y.ravel(), weights).sum().backward()
        optimizer.step()

    def evaluate(model: nn.Module) -> Tensor:
        errors = (model(problem.x).squeeze(-1) - problem.y.ravel()).square()
        return torch.stack([errors[k, fold == k].mean() for k in range(3)])

    plan = tn.Plan({"weights.0": tn.GroupLasso(torch.ones(3), by="inputs")})
    path = tn.path(
        make, plan, fit, evaluate, n_strengths=12,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2), rounds=30, first_rounds=300,
    )  # fmt: skip
    assert path.points[0].alive["weights.0"].shape == (3, 8)
    assert path.points[-1].groups == {"weights.0": 0}
    last = [point for point in path.points if point.groups["weights.0"]][-1]
    assert last.alive["weights.0"][:, 3:].sum() == 0  # the columns that matter stay longest, in every fold
    assert path.best.error < 0.3 * path.points[-1].error
    assert len(path.best.losses) == 3


def test_dead_structures_are_removed_on_the_way_up() -> None:
    problem = regression()
    plan = tn.Plan(tn.groups(perceptron(), problem.x))
    settings = {"n_strengths": 8, "optimizer": gradient_descent(0.2), "rounds": 30}
    whole = tn.path(perceptron, plan, problem.fit, problem.losses, **settings)
    path = tn.path(perceptron, plan, problem.fit, problem.losses, compact=problem.x[:4], **settings)
    widths = [point.model()[0].out_features for point in path.points]
    assert widths[0] == 6
    assert sorted(widths, reverse=True) == widths
    assert 0 < min(widths) < 6
    for point in path.points:
        assert point.error == pytest.approx(float(problem.loss(point.model()).detach()))
    shared = min(len(path.points), len(whole.points))
    errors = [[point.error for point in p.points[:shared]] for p in (path, whole)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_a_point_that_diverges_says_so_and_the_path_goes_on() -> None:
    problem, rounds = regression(), []

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        rounds.append(0)
        problem.fit(model, optimizer)
        if len(rounds) == 5:
            with torch.no_grad():
                model.weight.fill_(math.inf)

    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, strengths=[0.1, 0.2, 0.3, 0.4], rounds=2, first_rounds=2
    )
    assert [point.diverged for point in path.points] == [False, False, True, False]
    assert math.isnan(path.points[2].error)
    assert all(bool(p.isfinite().all()) for point in path.points for p in point.model().parameters())
    assert "diverged" in str(path)
    assert path.figure() is not None
    assert path.best.strength != 0.3


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


def idle(model: nn.Module, optimizer: Optimizer) -> None:
    """No step."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": tn.Plan(tn.MaxNorm(1.0))}, "nothing in .* has a strength to vary"),
        ({"plan": tn.Plan(tn.L1(0.0))}, "nothing in .* has a strength to vary"),
        ({"plan": tn.Plan(tn.L2(1.0))}, "takes no trainable weight of this model to zero.*give `strengths`"),
        ({"plan": lambda model, value: None}, "has no strength at which all is zero; give `strengths`"),
        ({"fit": idle}, r"`fit` never called optimizer\.step\(\)"),
        ({"fit": idle, "direction": "down"}, r"`fit` never called optimizer\.step\(\)"),
        ({"fit": None}, "`fit` is None; give it, or `polish`"),
        ({"strengths": [0.1, 0.3, 0.2]}, "must rise for direction='up', but 0.2 comes after 0.3.*direction=\"down\""),
        ({"strengths": [0.3, 0.3], "direction": "down"}, "must fall for direction='down', but 0.3 comes after 0.3"),
        ({"strengths": []}, "`strengths` is empty"),
        ({"strengths": [-1.0]}, "must be finite and >= 0, got -1.0"),
        ({"n_strengths": 0}, "`n_strengths` must be a whole number >= 1, got 0"),
        ({"average": -1}, "`average` must be a number of rounds from 0 to `rounds`, 4, got -1"),
        ({"average": 3, "rounds": 2}, "from 0 to `rounds`, 2, got 3: a longer one"),
        ({"average": math.nan}, "`average` must be a number of rounds .* got nan"),
        ({"average": True}, "`average` must be a number of rounds .* got True"),
        ({"patience": 0}, "`patience` must be a whole number >= 1, got 0"),
        ({"eps": 1.0}, "`eps` must be between 0 and 1, got 1.0"),
        ({"direction": "sideways"}, '`direction` must be "up" or "down"'),
        ({"compact": torch.ones(1, 8), "direction": "down"}, 'which direction="down" brings back'),
        ({"evaluate": lambda model: torch.ones(2, 2)}, r"or losses of shape \(n,\), got shape \(2, 2\)"),
    ],
)
def test_bad_input_is_refused_by_name(change: dict[str, object], message: str) -> None:
    problem = regression()
    given: dict[str, object] = {"plan": tn.Plan(tn.L1(1.0)), "fit": problem.fit, "evaluate": problem.losses, **change}
    plan, fit, evaluate = given.pop("plan"), given.pop("fit"), given.pop("evaluate")
    with pytest.raises(ValueError, match=message):
        tn.path(linear, plan, fit, evaluate, first_rounds=2, **given)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    problem = regression()
    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, strengths=np.array([0.1, 0.2]),
        rounds=np.int64(2), first_rounds=np.int64(3), average=np.float32(0.5), refit=np.int32(1),
        checkpoint_dir=tmp_path,
    )  # fmt: skip
    assert len(path.points) == 2


def test_networks_and_optimizers_must_be_made() -> None:
    problem, plan, one = regression(), tn.Plan(tn.L1(1.0)), linear()
    with pytest.raises(ValueError, match="`make_model` returned the same network twice"):
        tn.path(lambda: one, plan, problem.fit, problem.losses, strengths=[0.1])
    with pytest.raises(TypeError, match=r"`make_model` must return a torch\.nn\.Module, got str"):
        tn.path(lambda: "network", plan, problem.fit, problem.losses, strengths=[0.1])
    for name, wrong in {"optimizer": torch.optim.SGD(one.parameters()), "polish": True, "callback": 5}.items():
        with pytest.raises(TypeError, match=f"`{name}` must be a function, got .*; wrap it in a lambda"):
            tn.path(linear, plan, problem.fit, problem.losses, **{name: wrong})
    with pytest.raises(TypeError, match="`make_model` must be a function, got Linear; wrap it in a lambda"):
        tn.path(one, plan, problem.fit, problem.losses)
    with pytest.raises(TypeError, match=r"`plan` must be a tn\.Plan or a function .*; wrap a rule or a mapping"):
        tn.path(linear, tn.L1(1.0), problem.fit, problem.losses)
    with pytest.raises(TypeError, match=r"`strengths` must be a list of numbers, or None to find them, got 0\.1"):
        tn.path(linear, plan, problem.fit, problem.losses, strengths=0.1)
    with pytest.raises(TypeError, match="`optimizer` must make a torch optimizer, got list"):
        tn.path(linear, plan, problem.fit, problem.losses, strengths=[0.1], optimizer=list)


def test_what_evaluate_returns_must_be_losses() -> None:
    problem = regression()
    with pytest.raises(TypeError, match="`evaluate` must return a loss"):
        tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, lambda model: "good", strengths=[0.1], first_rounds=1)


def test_it_prints_and_draws() -> None:
    path = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=5)
    lines = str(path).splitlines()
    assert lines[0].split() == ["strength", "error", "se", "nonzero", "groups", "norm", "rounds"]
    assert len(lines) == 6
    assert lines[1 + path.points.index(path.best)].endswith(" best")
    assert lines[1 + path.points.index(path.one_se)].endswith(" one_se")
    again = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), strengths=torch.tensor([0.5, 0.25], dtype=torch.float64))
    assert [point.strength for point in again.points] == [0.5, 0.25]
    frame = path.table()
    assert frame["strength"].tolist() == [point.strength for point in path.points]
    assert frame["groups of weight"].tolist() == [point.nonzero for point in path.points]
    titles = [annotation.text for annotation in path.figure({"weight": list("abcdefgh")}).layout.annotations]
    assert titles == [
        "held-out error",
        "weights left",
        "groups of weight left",
        "norm of weights",
        "when groups of weight leave",
    ]


def test_where_nothing_can_become_zero_nothing_is_said_of_zeros() -> None:
    problem = regression()
    path = tn.path(
        linear, lambda model, s: tn.Plan(tn.L2(s)), problem.fit, problem.loss, strengths=[1.0], first_rounds=2
    )
    assert str(path).split()[:3] == ["strength", "error", "rounds"]
    assert "nonzero" not in repr(path.best)
    assert [annotation.text for annotation in path.figure().layout.annotations] == ["held-out error"]


def test_networks_with_dropout_are_polished_without_it() -> None:
    problem = regression()

    def dropped() -> nn.Module:
        return nn.Sequential(linear(), nn.Dropout(0.5))

    plan = tn.Plan({"0.weight": tn.L1(1.0)})
    settings = {"polish": problem.loss, "direction": "down", "n_strengths": 4, "rounds": 2}
    path = tn.path(dropped, plan, problem.fit, problem.losses, **settings)
    expected = exact(tn.Plan(tn.L1(1.0)), n_strengths=4)
    assert [p.strength for p in path.points] == pytest.approx([p.strength for p in expected.points], rel=1e-5)
    assert [p.error for p in path.points] == pytest.approx([p.error for p in expected.points], rel=1e-4)


@pytest.mark.parametrize("harm", [1.0, math.inf])
def test_a_refit_that_only_harms_is_not_taken(harm: float) -> None:
    problem = regression()

    def walk(refit: int) -> list[float]:
        calls = itertools.count(1)

        def fit(model: nn.Module, optimizer: Optimizer) -> None:
            problem.fit(model, optimizer)
            if refit and next(calls) in (
                4,
                6,
            ):  # three rounds of the first point, its refit, one of the second, its refit
                model.weight.data.add_(harm)

        settings = {"strengths": [0.1, 0.2], "first_rounds": 3, "rounds": 1, "refit": refit, "average": 0}
        path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **settings)
        return [point.error for point in path.points]

    assert walk(1) == walk(0)


def test_a_way_down_on_which_nothing_leaves_zero_is_told() -> None:
    problem = regression()
    settings = {"strengths": [1000.0, 900.0], "direction": "down", "first_rounds": 2}
    with pytest.warns(NoEffectWarning, match=r'nothing ever left zero on the way down.*use direction="up"'):
        tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, **settings)
