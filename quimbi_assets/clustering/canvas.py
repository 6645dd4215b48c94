"""The look of all pictures: colours, a titled canvas, plain axes, short numbers.

Belongs here: style. Does not: what is drawn (``pictures``). Every picture is a ``Figure`` of its own (no pyplot, no
global state) with places computed rather than left to a layout engine, which takes longer than the drawing.
matplotlib is imported when the first picture is drawn.
"""

import io
import textwrap
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#3b6fb6", "#e0803a", "#4c9f70", "#b5495b", "#7d6bb0", "#8a7356", "#d08fb8", "#6f7f8c", "#b3a336", "#41a5b5")
INK, QUIET, GRID = "#222b36", "#6b7683", "#e3e7ec"
DPI = 110


def canvas(width: float, height: float, title: str, subtitle: str) -> "Figure":
    """Return a figure of that size in inches with its heading; what is below 0.7 inches from the top is free."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.14 / width, 1 - 0.32 / height, title, fontsize=12.5, fontweight="bold", color=INK)
    subtitle = textwrap.shorten(subtitle, int(15.5 * width), placeholder=" …")
    figure.text(0.14 / width, 1 - 0.56 / height, subtitle, fontsize=8.5, color=QUIET)
    return figure


def plain_axes(axes: "Axes", grid: Literal["", "x", "y", "both"] = "") -> None:
    """Leave only what is read: no box, faint grid."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)


def in_words(name: str) -> str:
    """Return a snake-case name as words."""
    return name.replace("_", " ").strip() or "axis"


def short_number(value: float) -> str:
    """Write a number in about five characters: 0.034, 12.3, 1,240, 3.1M."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:,.3g}M" if size < 1e9 else f"{value:.1e}"
    if size >= 10:
        return f"{value:,.0f}" if size >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"


def to_png(figure: "Figure") -> bytes:
    """Return the figure as PNG; light compression, which halves the time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 3})
    return buffer.getvalue()
