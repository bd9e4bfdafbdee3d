"""The report of a compaction as one HTML page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from thinnet.compaction import Report
from thinnet.report._file import write_page
from thinnet.report._fit_page import piece, templates


@dataclass(frozen=True)
class Cut:
    """One length of a layer's weight that became smaller."""

    what: str
    before: int
    after: int

    @property
    def share(self) -> float:
        """What is left, in percent."""
        return 100 * self.after / self.before


def write_compaction(report: Report, path: str | os.PathLike[str], *, title: str = "Compaction") -> Path:
    """Write a self-contained page of what `tn.compact` removed, what it costs now, and what holds the rest.

    Args:
        report: what `tn.compact` returned beside the model.
        path: the HTML file, in a folder that exists.
        title: what the page is called.

    Returns:
        The path.

    Raises:
        OSError: if the file cannot be written; an older one is then left as it was.
    """
    return write_page(render_compaction(report, title), Path(path))


def render_compaction(report: Report, title: str) -> str:
    """The page as text."""
    slow, fast = report.latency
    return (
        templates()
        .get_template("compaction.html.jinja")
        .render(
            title=title,
            report=report,
            layers=[(layer, cuts(layer.before, layer.after)) for layer in report.layers],
            totals=[
                (
                    "parameters",
                    f"{report.before.parameters:,}",
                    f"{report.after.parameters:,}",
                    _ratio(*report.parameters),
                ),
                (
                    "bytes",
                    f"{report.before.size:,}",
                    f"{report.after.size:,}",
                    _ratio(report.before.size, report.after.size),
                ),
                (
                    "operations a call",
                    f"{report.before.flops:,}",
                    f"{report.after.flops:,}",
                    _ratio(report.before.flops, report.after.flops),
                ),
                ("milliseconds a call, measured", f"{1e3 * slow:.3f}", f"{1e3 * fast:.3f}", _ratio(slow, fast)),
            ],
            pinned=sorted(report.pinned.items(), key=lambda item: -item[1]),
            style=piece("report.css"),
            script=piece("report.js"),
        )
    )


def cuts(before: tuple[int, ...], after: tuple[int, ...]) -> list[Cut]:
    """The dimensions that changed, of a weight stored (out, in, ...)."""
    names = ("outputs", "inputs", *(f"dimension {d}" for d in range(2, len(before))))
    return [Cut(name, old, new) for name, old, new in zip(names, before, after, strict=False) if old != new]


def _ratio(before: float, after: float) -> str:
    return f"{after / before:.2f}" if before else "—"
