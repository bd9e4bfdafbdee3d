"""Layouts of stored weights: which dimension is the outputs and which the inputs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from thinnet.rule import GroupedBy

_INPUTS_FIRST = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding, nn.EmbeddingBag)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Layout:
    """The view of stored weights in which dimension 0 is the outputs and dimension 1 the inputs.

    Args:
        inputs_first: the module stores `(in, out, ...)`, as transposed convolutions and embeddings do. An embedding is
            the linear layer of one-hot rows: its outputs are its features, its inputs the categories.
        groups: the groups of a convolution; the dimension that is not grouped holds one group's share.
    """

    inputs_first: bool = False
    groups: int = 1

    def view(self, w: Tensor) -> Tensor:
        """View `w` as `(out, in, ...)`."""
        return w.transpose(0, 1) if self.inputs_first and w.ndim > 1 else w

    def mixes(self, grouping: GroupedBy) -> bool:
        """Whether one row (or column) of the view holds weights of several outputs (or inputs), one of each group."""
        return self.groups > 1 and grouping == ("outputs" if self.inputs_first else "inputs")

    def dead(self, w: Tensor) -> tuple[int, int]:
        """Count the outputs and the inputs whose weights are all zero."""
        if w.ndim < 2:
            return int((w == 0).sum()), 0
        alive = (w != 0).flatten(2).any(2) if w.ndim > 2 else w != 0
        per_group = alive.reshape(self.groups, -1, alive.shape[1])
        first, second = int((~per_group.any(2)).sum()), int((~per_group.any(1)).sum())
        return (second, first) if self.inputs_first else (first, second)


def layout_of(module: nn.Module) -> Layout:
    """Determine the layout of the weights that `module` owns."""
    # transformers.pytorch_utils.Conv1D is a linear layer stored (in, out)
    conv1d = type(module).__qualname__ == "Conv1D" and type(module).__module__.startswith("transformers.")
    groups = module.groups if isinstance(module, _CONVOLUTIONS) else 1
    return Layout(inputs_first=conv1d or isinstance(module, _INPUTS_FIRST), groups=groups)
