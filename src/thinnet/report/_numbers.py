"""Formatting of numbers for display."""

import math


def number(value: float) -> str:
    """A score for people: three significant digits, never scientific between 0.001 and a million.

    Example:
        >>> number(0.41234), number(1234.6), number(0.00001), number(float("nan"))
        ('0.412', '1,235', '1.00e-05', '—')
    """
    if not math.isfinite(value):
        return "—"
    size = abs(value)
    if size >= 1e6 or 0 < size < 5e-4:
        return f"{value:.2e}"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def share(value: float) -> str:
    """A share in percent, with a digit after the point where it says something.

    Example:
        >>> share(0.0), share(0.004), share(0.823), share(1.0)
        ('0 %', '0.4 %', '82 %', '100 %')
    """
    if not math.isfinite(value):
        return "—"
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"
