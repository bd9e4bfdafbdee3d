"""Near misses of a misspelled name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 8
"""At most so many names are listed where none is near."""


def near_misses(name: str, names: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> list[str]:
    """The names that `name` may be a misspelling of, nearest first, regardless of case, spaces and punctuation.

    Args:
        name: what was typed.
        names: what there is.
        most: how many to return at most.
        cutoff: the least similarity, from 0 to 1, as of `difflib.get_close_matches`.

    Example:
        >>> near_misses("max_norm", ["MaxNorm", "UnitNorm", "L2"])
        ['MaxNorm']
    """
    by_letters: dict[str, str] = {}
    for other in names:
        by_letters.setdefault(_letters(other), other)
    return [by_letters[match] for match in get_close_matches(_letters(name), list(by_letters), n=most, cutoff=cutoff)]


def suggestion(name: str, names: Iterable[str]) -> str:
    """A sentence with the near misses of `name`, or with all of `names` if none is near and they are few, or "".

    Example:
        >>> suggestion("churn", ["Churn", "tenure", "contract"])
        "Did you mean 'Churn'?"
        >>> suggestion("x", ["Churn", "tenure"])
        "There are 'Churn' and 'tenure'."
    """
    known = list(dict.fromkeys(names))
    close = near_misses(name, known)
    if close:
        return f"Did you mean {listed(close, 'or')}?"
    if 0 < len(known) <= FEW:
        return f"There {'is' if len(known) == 1 else 'are'} {listed(known, 'and')}."
    return ""


def listed(names: Iterable[object], last: str) -> str:
    """Quoted names in a sentence, the last two joined by the word `last`.

    Example:
        >>> listed(["a", "b", "c"], "or")
        "'a', 'b' or 'c'"
    """
    quoted = [repr(str(name)) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def _letters(name: str) -> str:
    """A name without what people get wrong first: case, spaces and the signs that stand for them."""
    return "".join(sign for sign in name.casefold() if sign.isalnum()) or name
