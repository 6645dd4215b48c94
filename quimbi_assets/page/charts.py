"""The page's charts, written as SVG here, so that a page needs no script and no time to draw.

Belongs here: what each chart shows. Does not: the words around it (``content``).

Every chart has its text in the page's own colour, in light and dark, and its marks in colours that the colour-blind
tell apart (Okabe, Ito, Color universal design, 2008). Altair took half of the time of a page (docs/adr/0023-page.md).
"""

from collections.abc import Iterator, Sequence
from html import escape

import pandas as pd

BLUE, ORANGE, GREEN, SKY, PINK = "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#cc79a7"
GREY = "#8a8f98"
TIER_COLOURS = {"top": "#0b3c5d", "high": "#17628f", "medium": "#26749f", "low": "#646b78"}
CAUSE_COLOURS = {"acted": GREEN, "silent": ORANGE, "corrected": PINK, "model": GREY}
WIDTH = 620
LETTER = 7.5
"""Width of a letter of the words in a bar, in pixels, with some room."""
MOST_LABELS = 13


def _svg(width: float, height: float, description: str, parts: Sequence[str]) -> str:
    """Return a chart that takes the page's text colour and width, named by its description."""
    head = f'<svg role="img" aria-label="{escape(description)}" class="chart" xmlns="http://www.w3.org/2000/svg" '
    return f'{head}viewBox="0 0 {width:g} {height:g}" font-size="12" fill="currentColor">{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, more: str = ' stroke-opacity="0.25"') -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GREY}"{more}/>'


def tiers(rows: pd.DataFrame) -> str:
    """Draw shares of customers and of revenue by value tier (``tier``, ``customers``, ``revenue``: 0-1)."""
    shares = rows.set_index("tier").reindex([tier for tier in TIER_COLOURS if tier in set(rows["tier"])])
    left, parts = 80, []
    for share in range(0, 101, 20):
        x = left + WIDTH * share / 100
        parts += [_line(x, 4, x, 92), _text(x, 108, f"{share}%")]
    for place, of in enumerate(("customers", "revenue")):
        y, x = 8.0 + 44 * place, float(left)
        parts.append(_text(left - 8, y + 21, of, "end"))
        for tier, share in shares[of].items():
            width, words = WIDTH * share, f"{tier} {100 * share:.0f} %"
            parts.append(_rect(x, y, width, 34, TIER_COLOURS[str(tier)]))
            if width > LETTER * len(words):
                parts.append(_text(x + width / 2, y + 21, words, more=' fill="white" font-weight="bold"'))
            x += width
    return _svg(left + WIDTH + 24, 114, "Shares of customers and of revenue by value tier", parts)


def movement(moves: pd.DataFrame) -> str:
    """Draw how many customers changed a segment week by week, by cause (``week``, ``cause``, ``customers``)."""
    weeks = moves.pivot_table(index="week", columns="cause", values="customers", aggfunc="sum", fill_value=0)
    causes = [cause for cause in CAUSE_COLOURS if cause in weeks.columns]
    left, top, height = 64, 34, 180
    most = max(float(weeks.sum(axis=1).max()), 1.0)
    parts = [_text(left, 16, "customers who moved, by week", "start", ' fill-opacity="0.8"')]
    for tick in _ticks(most):
        y = top + height * (1 - tick / most)
        parts += [_line(left, y, left + WIDTH, y), _text(left - 8, y + 4, f"{tick:,.0f}", "end")]
    step = WIDTH / len(weeks)
    every = -(-len(weeks) // MOST_LABELS)
    for place, (week, row) in enumerate(weeks.iterrows()):
        x, y = left + step * place + min(step * 0.1, 6), float(top + height)
        for cause in causes:
            tall = height * row[cause] / most
            y -= tall
            parts.append(_rect(x, y, min(step * 0.8, 60), tall, CAUSE_COLOURS[cause]))
        if place % every == 0:
            parts.append(_text(x + min(step * 0.4, 30), top + height + 16, f"{week:%-d %b}"))
    parts += _legend({cause: CAUSE_COLOURS[cause] for cause in causes}, left + WIDTH)
    return _svg(left + WIDTH + 8, top + height + 24, "Customers who changed a segment, by week and cause", parts)


def _legend(colours: dict[str, str], right: float) -> Iterator[str]:
    """Write what colours mean, from the right edge on to the left."""
    for name, colour in reversed(colours.items()):
        right -= LETTER * len(name) + 24
        yield _rect(right, 6, 11, 11, colour)
        yield _text(right + 16, 16, name, "start")


def _ticks(most: float) -> range:
    """Return up to six round figures from 0 on.

    >>> list(_ticks(870))
    [0, 200, 400, 600, 800]
    """
    step = next(step * 10**power for power in range(12) for step in (1, 2, 5) if most <= 5 * step * 10**power)
    return range(0, int(most) + 1, step)


def calibration(bins: Sequence[Sequence[float]]) -> str:
    """Draw risk given against what happened; rows of ``bins``: mean risk, share that stayed away, customers."""
    left, top, width, height = 52, 24, 300, 220
    parts = [_text(left, 14, "share that stayed away", "start", ' fill-opacity="0.8"')]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + width * share, top + height * (1 - share)
        parts += [_line(x, top, x, top + height), _line(left, y, left + width, y)]
        parts += [_text(x, top + height + 16, f"{share:.0%}"), _text(left - 6, y + 4, f"{share:.0%}", "end")]
    parts.append(_line(left, top + height, left + width, top, ' stroke-dasharray="4 4"'))
    at = [(left + width * risk, top + height * (1 - away)) for risk, away, *_ in bins]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{BLUE}"/>' for x, y in at]
    parts.append(_text(left + width / 2, top + height + 34, "risk foretold", more=' fill-opacity="0.8"'))
    words = "Risk of staying away as foretold, against the share that did; the dashed line is perfect"
    return _svg(left + width + 24, top + height + 42, words, parts)


def agreement(rows: Sequence[tuple[str, float]]) -> str:
    """Draw how far the segments of each axis are found again in other customers: name in words, 0-1."""
    left, width, bottom = 330, 240, 20 * len(rows) + 4
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + width * share
        parts += [_line(x, 0, x, bottom), _text(x, bottom + 16, f"{share:g}")]
    for place, (axis, share) in enumerate(sorted(rows, key=lambda row: -row[1])):
        parts += [_text(left - 8, 20 * place + 15, axis, "end"), _rect(left, 20 * place + 5, width * share, 12, SKY)]
    return _svg(left + width + 24, bottom + 22, "How far the groups of each question are found again", parts)
