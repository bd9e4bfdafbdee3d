"""Nothing is timed in a test, and torch.export goes over its operators once, not at each call."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
import torch._export.utils as export_utils
from torch.export import decomp_utils, exported_program

from thinnet.compaction import _cost


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latencies are measured by the fewest calls there may be."""
    monkeypatch.setattr(_cost, "SECONDS", 0.0)


@pytest.fixture(scope="session", autouse=True)
def brief_export() -> Iterator[None]:
    """Save most of what torch.export does anew for every small model; what it returns is the same.

    At each call it lists every composite operator that is registered, and sets each up for every kind of device. Here
    it lists them anew only where one was registered meanwhile, and sets them up for the devices of this machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (export_utils, exported_program, decomp_utils):
            if hasattr(module, "_collect_all_valid_cia_ops"):
                patch.setattr(module, "_collect_all_valid_cia_ops", remembered(module._collect_all_valid_cia_ops))
        devices = ("CPU", "CUDA", "Meta") if torch.cuda.is_available() else ("CPU", "Meta")
        for prefix, name in [("", "_BACKEND"), ("Autograd", "_AUTOGRAD_ALIAS_BACKEND")]:
            keys = [getattr(torch._C.DispatchKey, prefix + device) for device in devices]
            patch.setattr(exported_program, f"{name}_KEYS_TO_OVERRIDE", keys, raising=False)
        yield


def remembered(operators: Callable[[], set[object]]) -> Callable[[], set[object]]:
    listed = cache(lambda registered: operators())
    return lambda: listed(len(torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd")))
