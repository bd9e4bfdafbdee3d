"""Results of a command as JSON."""

from __future__ import annotations

import json
from typing import Any

from thinnet._plain_json import to_plain


def to_json(results: dict[str, Any]) -> str:
    """Results as JSON on one line, numbers that are not finite as null.

    Example:
        >>> to_json({"score": float("nan"), "rows": 3})
        '{"score": null, "rows": 3}'
    """
    return json.dumps(to_plain(results, str), ensure_ascii=False, allow_nan=False)
