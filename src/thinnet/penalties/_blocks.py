"""Blocks of inputs, and vectorized sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, overload

import torch
from torch import Tensor

from thinnet.penalties._group_numbers import group_numbers, group_slots, known_groups


class Blocks(Sequence[int]):
    """A partition of inputs into blocks: the number of the block of each input, -1 for none.

    Blocks stand in the order of their numbers.

    Raises:
        TypeError: they are no list of whole numbers.
        ValueError: a number is below -1, or every input is in no block.
    """

    @torch.inference_mode(False)  # what is made in that mode can never be saved for a backward pass
    def __init__(self, numbers: Sequence[int]) -> None:
        found = group_numbers("GroupLasso: `blocks`", "input", numbers)
        known = known_groups(found)
        if not known.numel():
            raise ValueError("GroupLasso: `blocks` has no block: every input is in none (-1).")
        self.groups = known.numel()
        self._plain = tuple(found.tolist())
        self._slots = {torch.device("cpu"): group_slots(found, known)}
        self._inputs: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._some_in_none = bool((found < 0).any())

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self:
        """The blocks themselves where they were checked already."""
        return numbers if isinstance(numbers, cls) else cls(numbers)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        return self._plain[index]

    def __len__(self) -> int:
        return len(self._plain)

    def __repr__(self) -> str:
        return f"<{self.groups} groups of {len(self)} inputs>"

    def __reduce__(self) -> tuple[type[Self], tuple[Sequence[int]]]:
        return type(self), (self._plain,)  # copies have no use for another device's tensors

    def check(self, name: str, shape: Sequence[int], inputs: int) -> None:
        """Refuse weights that have another number of inputs than there are numbers."""
        if inputs != len(self):
            raise ValueError(
                f"GroupLasso: `blocks` has {len(self)} numbers, one for each input, but {name} of shape {tuple(shape)} "
                f"has {inputs} inputs; make the blocks again for this weight."
            )

    def sum(self, per_input: Tensor) -> Tensor:
        """The sum over the inputs of each block: (*, inputs, 1) becomes (*, blocks, 1)."""
        sums = per_input.new_zeros(*per_input.shape[:-2], self.groups + 1)
        # without the last dimension, of length 1: torch adds runs of numbers at once, slices one by one
        sums.index_add_(-1, self._slots_on(per_input.device), per_input.squeeze(-1))
        return sums[..., : self.groups, None]

    def each(self, per_block: Tensor, otherwise: float) -> Tensor:
        """What each input has by its block, `otherwise` where it is in none: (*, blocks, 1) becomes (*, inputs, 1)."""
        if self._some_in_none:
            per_block = torch.cat([per_block, torch.full_like(per_block[..., :1, :], otherwise)], -2)
        return per_block.squeeze(-1).index_select(-1, self._slots_on(per_block.device)).unsqueeze(-1)

    def sizes(self, w: Tensor, weights: int) -> Tensor:
        """How many weights each block has where an input has `weights`, in w's precision: (blocks, 1)."""
        key = (w.device, w.dtype)
        if key not in self._inputs:
            self._inputs[key] = self.sum(w.new_ones(len(self), 1))
        return self._inputs[key] * weights

    def _slots_on(self, device: torch.device) -> Tensor:
        """The place of each input's block, kept for the next time on that device."""
        if device not in self._slots:
            with torch.inference_mode(False):
                self._slots[device] = self._slots[torch.device("cpu")].to(device)
        return self._slots[device]
