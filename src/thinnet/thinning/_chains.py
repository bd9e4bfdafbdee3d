"""Search for removable neurons: outputs of linear layers that one other linear layer consumes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, fx, nn
from torch.nn import functional as F

from thinnet.dropout import ChannelDropout, Dropout, DropoutLayer, NodeDropout
from thinnet.thinning._elementwise import is_elementwise, is_homogeneous, is_pooling, is_reshape, name_of, reads_shape

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that write and read nodes: features, or channels."""

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_DROPOUTS = (Dropout, NodeDropout, ChannelDropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Dropout that node removal can stand for: of elements, nodes or channels, to zero."""


@dataclass(frozen=True)
class Chain:
    """Neurons that are removed together: the layers that produce them, and the one that consumes them.

    Args:
        producers: names of the layers whose outputs they are, in the order they run; none for the model's inputs.
        consumer: name of the one layer that consumes them.
        dropouts: names of the dropout layers on the way.
        norms: names of the batch normalizations on the way.
    """

    producers: tuple[str, ...]
    consumer: str
    dropouts: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all modules of the chain."""
        return (*self.producers, *self.dropouts, *self.norms, self.consumer)


@dataclass
class Chains:
    """Result of `thinnable`: the chains that `thin_` can thin, and why other layers cannot; it prints as a list.

    Attributes:
        found: the nodes that can be removed: the model's inputs first, then in the order of the layers.
        left: for each other linear layer, why its inputs cannot be removed.
    """

    found: list[Chain] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    def leave(self, chain: Chain, why: str) -> None:
        """Move a chain to those that cannot be thinned."""
        self.found.remove(chain)
        self.left[chain.consumer] = why

    def __str__(self) -> str:
        found = [f"{' and '.join(chain.producers) or 'input'} -> {chain.consumer}" for chain in self.found]
        return "\n".join([*found, *(f"{name} keeps its inputs: {why}" for name, why in self.left.items())])


class _Stays(Exception):
    """Why the nodes that a layer consumes cannot be removed."""


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (DropoutLayer, *LINEAR)) or super().is_leaf_module(m, module_qualified_name)


def thinnable(model: nn.Module) -> Chains:
    """Find the neurons that `thin_` can remove from a model, and the reasons for the others; nothing is changed.

    Nodes are the outputs of `Linear` or convolution layers that pass through elementwise operations and dropout
    (channels through pooling and batch normalization, too), alone or combined with each other, into one layer of the
    same kind; and the inputs of the model that one layer consumes. The feed-forward nodes of torch's transformer layers
    are among them.

    Args:
        model: any module. `torch.fx` traces it; where it cannot trace a `forward`, it traces those of the children.

    Returns:
        The chains, by names of modules.

    Example:
        >>> import thinnet as tn
        >>> from torch import nn
        >>> layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2)
        >>> print(tn.thinnable(nn.Sequential(*layers)))
        input -> 0
        0 -> 2
        4 keeps its inputs: LayerNorm '3' before it normalizes over all nodes of a row
    """
    chains = Chains()
    modes = [(module, module.training) for module in model.modules()]
    model.train()  # thinning acts in training: that is the graph to read
    try:
        whole = _read(model, "", chains)
    finally:
        for module, mode in modes:
            module.training = mode
    aliases = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for chain in [] if whole else chains.found.copy():
        if shared := [name for name in chain.names if aliases[id(model.get_submodule(name))] > 1]:
            # a call of it may stand where the forward was not read
            chains.leave(chain, f"'{shared[0]}' stands in the model under several names")
    for name, module in model.named_modules():
        if type(module) in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer):
            at = f"{name}." if name else ""
            if is_elementwise(module.activation):
                chains.found.append(Chain((f"{at}linear1",), f"{at}linear2", (f"{at}dropout",)))
            else:
                chains.left[f"{at}linear2"] = f"{module.activation} is not known to be elementwise"
    return chains


def _read(module: nn.Module, prefix: str, chains: Chains) -> bool:
    """Add the chains of a module, or of its children where it cannot be traced; whether it could."""
    try:
        graph = _Tracer().trace(module)
    except Exception:  # whatever a forward does with what is no tensor
        for name, child in module.named_children():
            if isinstance(child, LINEAR):
                around = "the module" if isinstance(module, nn.ModuleList | nn.ModuleDict) else type(module).__name__
                chains.left[prefix + name] = f"torch.fx cannot read the forward of {around} around it"
            elif isinstance(child, nn.ModuleList | nn.ModuleDict) or not _Tracer().is_leaf_module(child, name):
                _read(child, f"{prefix}{name}.", chains)
        return False
    layers = dict(module.named_modules())
    found = []
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(layers[node.target], LINEAR):
            try:
                found.append(_behind(node, layers))
            except _Stays as why:
                chains.left[prefix + node.target] = str(why)
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    uses = Counter(name for chain in found for name in set(chain.dropouts))
    for chain in found:
        again = [name for name in chain.names if calls[name] > (uses[name] or 1)]
        if again:
            chains.left[prefix + chain.consumer] = f"'{prefix}{again[0]}' is used in other places too"
        elif chain.producers or not prefix:  # the inputs of a part of the model are other nodes of it
            lists = (tuple(prefix + n for n in names) for names in (chain.producers, chain.dropouts, chain.norms))
            producers, dropouts, norms = lists
            chains.found.append(Chain(producers, prefix + chain.consumer, dropouts, norms))
    return True


def _behind(reader: fx.Node, layers: dict[str, nn.Module]) -> Chain:
    """The chain of the nodes that a layer consumes."""
    region = _region(reader, layers)
    sources = [(node, operation) for node, operation in region if _is_source(node, operation)]
    writers = [str(node.target) for node, _ in sources if node.op != "placeholder"]
    if writers and len(writers) < len(sources):
        raise _Stays("nodes of a layer and the model's inputs meet before it")
    if not writers and not isinstance(layers[str(reader.target)], nn.Linear):
        raise _Stays("inputs of a convolution are channels of an image, not nodes")
    _check_layers(writers, str(reader.target), layers)
    _check_order(region, written=bool(writers))
    features = isinstance(layers[str(reader.target)], nn.Linear)
    if features and (pools := [name_of(node, operation) for node, operation in region if is_pooling(operation)]):
        raise _Stays(f"{pools[0]} before it mixes neighbouring nodes")
    dropouts, norms = (
        tuple(str(node.target) for node, operation in region if isinstance(operation, kinds))
        for kinds in (_DROPOUTS, BATCH_NORMS)
    )
    if norms and features:
        raise _Stays(f"batch normalization '{norms[0]}' before it is cut for channels only")
    if averaging := [name for name in norms if cast(nn.BatchNorm2d, layers[name]).momentum is None]:
        raise _Stays(f"batch normalization '{averaging[0]}' averages over all batches (momentum=None)")
    return Chain(tuple(writers), str(reader.target), dropouts, norms)


def _region(reader: fx.Node, layers: dict[str, nn.Module]) -> list[tuple[fx.Node, Any]]:
    """The operations between those that produce the nodes and the one that consumes them, in the order they run."""
    region: dict[fx.Node, Any] = {}
    ahead = list(reader.all_input_nodes)
    while ahead:
        node = ahead.pop()
        if node in region:
            continue
        region[node] = operation = layers[str(node.target)] if node.op == "call_module" else node.target
        if not _is_source(node, operation):
            _pass(node, operation)
            ahead += node.all_input_nodes[:1] if is_reshape(operation) else node.all_input_nodes
    for node in region:
        for user in node.users:
            if user is not reader and user not in region and not reads_shape(user):
                other = layers.get(str(user.target), user.target)
                raise _Stays(f"{name_of(user, other)} consumes the same nodes")
    return [(node, region[node]) for node in reader.graph.nodes if node in region]


def _is_source(node: fx.Node, operation: Any) -> bool:
    return node.op == "placeholder" or isinstance(operation, LINEAR)


def _pass(node: fx.Node, operation: Any) -> None:
    """Raise where nodes do not pass through an operation one by one."""
    known = isinstance(operation, _DROPOUTS) or type(operation) in BATCH_NORMS
    known = known or is_elementwise(operation) or is_pooling(operation) or is_reshape(operation)
    if known and node.op != "get_attr":
        return
    name = name_of(node, operation)
    if isinstance(operation, nn.LayerNorm | nn.GroupNorm | nn.RMSNorm | nn.Softmax):
        raise _Stays(f"{name} before it normalizes over all nodes of a row")
    if operation in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):
        raise _Stays(f"{name} before it is a function; make it a module, as tn.Dropout")
    raise _Stays(f"{name} before it does not keep nodes apart, as far as is known")


def _check_layers(writers: list[str], reader: str, layers: dict[str, nn.Module]) -> None:
    """Raise unless the layers are of one kind that can be cut, and agree on the nodes."""
    for name in (*writers, reader):
        if hasattr(layers[name], "link_out"):
            raise _Stays("it is thin already")
        if type(layers[name]) not in LINEAR or getattr(layers[name], "groups", 1) != 1:
            kind = type(layers[name]).__name__
            raise _Stays(f"{kind} '{name}' is a subclass or has groups: how to cut it is not known")
    for name in writers:
        if type(layers[name]) is not type(layers[reader]):
            raise _Stays(f"{type(layers[name]).__name__} '{name}' before it is of another kind")
        outputs, inputs = _weight(layers[name]).shape[0], _weight(layers[reader]).shape[1]
        if outputs != inputs:
            raise _Stays(f"'{name}' produces {outputs} nodes, it consumes {inputs}")


def _check_order(region: list[tuple[fx.Node, Any]], *, written: bool) -> None:
    """Raise where removed nodes would not be what dropped ones are, or are not in the same place."""
    behind_dropout: set[fx.Node] = set()
    for node, operation in region:
        if written and is_reshape(operation):
            raise _Stays(f"{name_of(node, operation)} arranges the nodes anew")
        drops = isinstance(operation, _DROPOUTS)
        if not behind_dropout.isdisjoint(node.all_input_nodes):
            if not (drops or is_homogeneous(operation) or is_pooling(operation) or is_reshape(operation)):
                raise _Stays(f"{name_of(node, operation)} comes behind its dropout, not before")
            drops = True
        if drops:
            behind_dropout.add(node)


def _weight(layer: nn.Module) -> Tensor:
    return cast(nn.Linear, layer).weight
