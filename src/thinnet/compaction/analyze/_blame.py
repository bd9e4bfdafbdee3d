"""The module and line of a model's own code that an error came through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

_OTHERS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))


@dataclass(frozen=True)
class Blame:
    """A place in a model.

    Args:
        module: the name of the module whose code it is.
        line: file and line, as "model.py:12"; "" where no code of the model's own is known.
    """

    module: str
    line: str

    def __str__(self) -> str:
        return " at ".join(part for part in (self.module, self.line) if part)


def blame(model: nn.Module, error: BaseException) -> Blame:
    """The innermost method of a module, not torch's own, that an error came through."""
    names = {module: name for name, module in model.named_modules()}
    found = Blame("", "")
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        owner = values.get(code.co_varnames[0]) if code.co_argcount else None
        own = not code.co_filename.startswith(_OTHERS)
        if own and isinstance(owner, nn.Module) and owner in names:
            found = Blame(names[owner], f"{Path(code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found
