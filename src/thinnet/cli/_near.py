"""Near misses: what the user may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 8
"""So many names are listed where none is near."""


def near(name: str, names: Iterable[str]) -> str:
    """A sentence that names the near misses of `name`, or all of `names` if they are few, or nothing.

    Example:
        >>> near("churn", ["Churn", "tenure", "contract"])
        "Did you mean 'Churn'?"
        >>> near("x", ["Churn", "tenure"])
        "There are 'Churn' and 'tenure'."
    """
    by_plain: dict[str, str] = {}
    for other in names:
        by_plain.setdefault(plain(other), other)
    close = [by_plain[match] for match in get_close_matches(plain(name), list(by_plain), n=3, cutoff=0.6)]
    if close:
        return f"Did you mean {listed(close, 'or')}?"
    if 0 < len(by_plain) <= FEW:
        everything = list(by_plain.values())
        return f"There {'is' if len(everything) == 1 else 'are'} {listed(everything, 'and')}."
    return ""


def plain(name: str) -> str:
    """A name without what people get wrong first: case, spaces and the signs that stand for them."""
    return "".join(sign for sign in name.casefold() if sign.isalnum()) or name


def listed(names: Iterable[str], last: str) -> str:
    """Quoted names in a sentence."""
    quoted = [repr(str(name)) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
