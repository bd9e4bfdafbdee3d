"""K multilayer perceptrons as one batched network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

import torch
from torch import Tensor, nn

from thinnet._buffers import BufferPool
from thinnet.stack._layer import MODULES, Activation, Drop, Group, layer
from thinnet.stack._masks import drop_run
from thinnet.stack._member import Member


class Stack(nn.Module):
    r"""K multilayer perceptrons of one architecture and different hyperparameters, batched into one module.

    Member k computes `W_L f(... f(W_1 x + b_1) ...) + b_L` with its own weights; in training, its own dropout masks
    follow every activation f. A minibatch shared by all members meets all first layers in one matrix product.
    A member trained in a stack equals the same member trained in a stack of one, to rounding, masks included.

    Dimensions: K members, B rows, D inputs, H units, C outputs. Parameters are `weights[l]` (K, out, in) and
    `biases[l]` (K, out).

    Args:
        members: the settings, one a member.
        in_features: D.
        hidden: units of each hidden layer.
        out_features: C.
        activation: "relu", "silu", "gelu" or "tanh".
        dtype: of the parameters; None is torch's default.
        device: of the parameters; None is torch's default.

    Raises:
        ValueError: no members, a layer without units, a member's `inputs` of another length than D.

    Example:
        >>> import torch, thinnet as tn
        >>> stack = tn.Stack([tn.Member(seed=0), tn.Member(seed=1)], in_features=3, hidden=[4], out_features=2)
        >>> x = torch.ones(5, 3)
        >>> stack(x).shape
        torch.Size([2, 5, 2])
        >>> torch.allclose(stack(x)[1], stack.member(1)(x))
        True

    References:
        Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
        Ensembling", 2024 (members packed into one batched network).
    """

    seeds: Tensor
    draws: Tensor

    def __init__(
        self,
        members: Sequence[Member],
        *,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: Activation = "relu",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if not members:
            raise ValueError("Stack: `members` is empty; give at least one Member.")
        if activation not in MODULES:
            raise ValueError(f"Stack: `activation` must be one of {sorted(MODULES)}, got {activation!r}.")
        self.members = tuple(members)
        self.activation: Activation = activation
        self.sizes = (in_features, *hidden, out_features)
        if min(self.sizes) < 1:
            raise ValueError(f"Stack: every layer needs at least one unit, got sizes {self.sizes}.")
        for k, member in enumerate(self.members):
            if member.inputs is not None and len(member.inputs) != in_features:
                raise ValueError(
                    f"Stack: member {k} says of {len(member.inputs)} inputs whether it sees them, "
                    f"but in_features is {in_features}."
                )
        dtype = dtype or torch.get_default_dtype()
        initial = [_initial_parameters(member, self.sizes, dtype) for member in self.members]
        layers = range(len(self.sizes) - 1)
        self.weights = nn.ParameterList(torch.stack([p[2 * i] for p in initial]).to(device) for i in layers)
        self.biases = nn.ParameterList(torch.stack([p[2 * i + 1] for p in initial]).to(device) for i in layers)
        # hashed as they are: any int64 is a good seed
        self.register_buffer("seeds", torch.tensor([m.seed for m in self.members], dtype=torch.int64, device=device))
        self._pool = BufferPool()
        self._grouped: dict[tuple[int, int], list[Group]] = {}
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.members)

    def extra_repr(self) -> str:
        """Members, sizes and activation."""
        return f"members={len(self)}, sizes={self.sizes}, activation={self.activation}"

    def forward(self, x: Tensor, members: slice = slice(None)) -> Tensor:
        """Compute the outputs of every member.

        Args:
            x: rows (B, D) shared by all members, or (K, B, D) of each member's own.
            members: a run of members to compute alone.

        Returns:
            (K, B, C).
        """
        if x.shape[-1] != self.sizes[0] or x.ndim not in (2, 3):
            raise ValueError(f"Stack: x must be (rows, {self.sizes[0]}) or (members, rows, ...), got {tuple(x.shape)}.")
        settings, seeds_K = self.members[members], self.seeds[members]
        draw = int(self.draws)
        # without a backward pass to come, buffers would never return
        pool = self._pool if self.training and torch.is_grad_enabled() else BufferPool()

        def drop(rates: list[float], layer: int, units: int) -> Drop | None:
            shape_HB = (units, x.shape[-2])
            if not self.training:
                return None
            return drop_run(rates, seeds_K, shape_HB, x.dtype, pool, draw=draw, layer=layer)

        # Feature-major inside, (K, units, rows): every product then reads and writes whole contiguous matrices.
        h = x.transpose(-1, -2)
        if input_drop := drop([m.input_dropout for m in settings], 0, self.sizes[0]):
            h = h.expand(len(settings), -1, -1).clone()
            input_drop.apply_(h)
        groups = self._groups(members)
        rates, last = [m.dropout for m in settings], len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i < last:
                dropped = drop(rates, i + 1, self.sizes[i + 1])
                h = layer(h, weight[members], bias[members], self.activation, dropped, groups, pool)
            else:
                h = layer(h, weight[members], bias[members], None, None, groups, pool)
            groups = [Group(slice(None), None)]
        if self.training:
            self.draws += 1
        return h.transpose(1, 2)

    def _groups(self, members: slice) -> list[Group]:
        """The chosen members in runs that see the same inputs."""
        start, stop, _ = members.indices(len(self))
        key = (start, stop)
        if key not in self._grouped:
            self._grouped[key], begin = [], 0
            for inputs, run in groupby(m.inputs for m in self.members[members]):
                end = begin + len(list(run))
                seen = None if inputs is None else torch.tensor(inputs, device=self.seeds.device).nonzero().flatten()
                self._grouped[key].append(Group(slice(begin, end), seen))
                begin = end
        return self._grouped[key]

    def keep(self, indices: Sequence[int]) -> None:
        """Keep only these members, in this order; during training call `StackAdam.keep`, which calls this.

        Raises:
            ValueError: no index, or one that is no member's.
        """
        if not indices or not all(0 <= i < len(self) for i in indices):
            raise ValueError(f"Stack: `keep` needs indices of members, 0 to {len(self) - 1}, got {list(indices)}.")
        index = torch.as_tensor(indices, device=self.seeds.device)
        self._become([self.members[i] for i in indices], self.seeds[index], [p.data[index] for p in self.parameters()])

    def join(self, other: Stack) -> None:
        """Append the members of another stack of the same architecture.

        Raises:
            ValueError: another architecture.
        """
        if (self.sizes, self.activation) != (other.sizes, other.activation):
            raise ValueError(f"Stack: only members of one architecture join; {self} and {other} differ.")
        pairs = zip(self.parameters(), other.parameters(), strict=True)
        parameters = [torch.cat([ours.data, theirs.data]) for ours, theirs in pairs]
        self._become([*self.members, *other.members], torch.cat([self.seeds, other.seeds]), parameters)

    def _become(self, members: Sequence[Member], seeds_K: Tensor, parameters: Sequence[Tensor]) -> None:
        """Have these members; buffers and groups of the former ones are forgotten."""
        self.members, self.seeds = tuple(members), seeds_K
        self._pool.clear()
        self._grouped.clear()
        for parameter, value in zip(self.parameters(), parameters, strict=True):
            parameter.data, parameter.grad = value, None

    def member(self, index: int) -> nn.Sequential:
        """Convert a member to a plain network: Linear, activation, Dropout where it has one, ..., Linear."""
        settings, activation = self.members[index], MODULES[self.activation]
        layers: list[nn.Module] = [nn.Dropout(settings.input_dropout)] if settings.input_dropout else []
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            linear = nn.Linear(weight.shape[2], weight.shape[1], dtype=weight.dtype, device=weight.device)
            linear.load_state_dict({"weight": weight[index].detach(), "bias": bias[index].detach()})
            layers.append(linear)
            if i < len(self.weights) - 1:
                layers.append(activation())
                if settings.dropout:
                    layers.append(nn.Dropout(settings.dropout))
        return nn.Sequential(*layers).train(self.training)


def _initial_parameters(member: Member, sizes: Sequence[int], dtype: torch.dtype) -> list[Tensor]:
    """Weight and bias of every layer as `nn.Linear` draws them, uniform in ±1/sqrt(inputs seen)."""
    generator = torch.Generator().manual_seed(member.seed)
    parameters = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        seen = sum(member.inputs) if i == 0 and member.inputs is not None else fan_in
        bound = 1 / math.sqrt(max(seen, 1))
        weight = torch.empty(fan_out, fan_in, dtype=dtype).uniform_(-bound, bound, generator=generator)
        if i == 0 and member.inputs is not None:
            weight *= torch.tensor(member.inputs)
        parameters += [weight, torch.empty(fan_out, dtype=dtype).uniform_(-bound, bound, generator=generator)]
    return parameters
