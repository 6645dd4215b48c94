"""The page's charts: declared in Altair, drawn as SVG here, so that a page needs no script.

Belongs here: what each chart shows. Does not: the words around it (``content``).

Every chart has its text in the page's own colour, in light and dark, and its marks in colours that the colour-blind
tell apart (Okabe, Ito, Color universal design, 2008).
"""

import re
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

BLUE, ORANGE, GREEN, SKY, PINK, VERMILION = "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#cc79a7", "#d55e00"
GREY = "#8a8f98"
TIER_COLOURS = {"top": "#0b3c5d", "high": "#17628f", "medium": "#26749f", "low": "#646b78"}
CAUSE_COLOURS = {"acted": GREEN, "silent": ORANGE, "corrected": PINK, "model": GREY}
INK = "#010203"
"""Stands for the page's text colour while a chart is drawn."""
WIDTH = 620
LETTER = 8.5
"""Width of a letter of the words in a bar, in pixels, with some room."""


def draw(chart: alt.Chart | alt.LayerChart, description: str) -> str:
    """Return a chart as SVG that takes the page's text colour and width, named by its description."""
    import vl_convert

    styled = chart.configure(
        background="transparent",
        padding={"left": 20, "right": 20, "top": 5, "bottom": 5},
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=INK, titleColor=INK, domainColor=GREY, tickColor=GREY, gridColor=GREY, gridOpacity=0.25,
            labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelLimit=220,
        ),
        legend=alt.LegendConfig(labelColor=INK, titleColor=INK, labelFontSize=12, orient="top", title=None),
        text=alt.MarkConfig(color=INK, fontSize=12),
        font="system-ui, sans-serif",
    )  # fmt: skip
    svg: str = vl_convert.vegalite_to_svg(styled.to_dict())
    size = re.search(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"', svg)
    assert size is not None
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head = f'<svg role="img" aria-label="{label}" class="chart" xmlns="http://www.w3.org/2000/svg" '
    head += f'viewBox="0 0 {size[1]} {size[2]}">'
    body = svg[svg.index(">") + 1 :].replace(INK, "currentColor")
    # The picture has one name; its parts are no controls to walk through, and the content policy knows no styles.
    body = re.sub(r' (?:role|aria-[a-z]+|style)="[^"]*"', "", body)
    return head + body


def tiers(rows: pd.DataFrame) -> str:
    """Draw shares of customers and of revenue by value tier (``tier``, ``customers``, ``revenue``: 0-1)."""
    order = [tier for tier in TIER_COLOURS if tier in set(rows["tier"])]
    long = rows.melt("tier", ["customers", "revenue"], "of", "share")
    long = long.assign(place=long["tier"].map({tier: i for i, tier in enumerate(order)}))
    long = long.sort_values(["of", "place"])
    long["end"] = long.groupby("of")["share"].cumsum()
    long["middle"] = long["end"] - long["share"] / 2
    words = [f"{tier} {100 * share:.0f} %" for tier, share in zip(long["tier"], long["share"], strict=True)]
    fits = long["share"] * WIDTH > LETTER * np.array([len(text) for text in words])
    long["words"] = np.where(fits, words, "")
    base = alt.Chart(long).encode(y=alt.Y("of:N", title=None, sort=["customers", "revenue"]))
    scale = alt.Scale(domain=order, range=[TIER_COLOURS[tier] for tier in order])
    bars = base.mark_bar(height=34).encode(
        x=alt.X("share:Q", title=None, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("tier:N", scale=scale, legend=None),
        order=alt.Order("place:Q"),
    )
    words = base.mark_text(color="white", fontWeight="bold").encode(x="middle:Q", text="words:N")
    return draw((bars + words).properties(width=WIDTH, height=100), "Shares of customers and of revenue by value tier")


def movement(moves: pd.DataFrame) -> str:
    """Draw how many customers changed a segment week by week, by cause (``week``, ``cause``, ``customers``)."""
    order = [cause for cause in CAUSE_COLOURS if cause in set(moves["cause"])]
    scale = alt.Scale(domain=order, range=[CAUSE_COLOURS[cause] for cause in order])
    rows = moves.assign(label=[f"{week:%-d %b}" for week in moves["week"]])
    chart = (
        alt.Chart(rows.drop(columns="week"))
        .mark_bar()
        .encode(
            x=alt.X("label:N", sort=list(dict.fromkeys(rows["label"])), title="week of", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("customers:Q", title="customers who moved"),
            color=alt.Color("cause:N", scale=scale, sort=order),
        )
        .properties(width=WIDTH, height=180)
    )
    return draw(chart, "Customers who changed a segment, by week and cause")


def calibration(bins: Sequence[Sequence[float]]) -> str:
    """Draw risk given against what happened; rows of ``bins``: mean risk, share that stayed away, customers."""
    rows = pd.DataFrame([one[:2] for one in bins], columns=["said", "came"])
    axis, scale = alt.Axis(format="%"), alt.Scale(domain=[0, 1])
    x = alt.X("said:Q", title="risk foretold", axis=axis, scale=scale)
    y = alt.Y("came:Q", title="stayed away", axis=axis, scale=scale)
    ideal = alt.Chart(pd.DataFrame({"said": [0.0, 1.0], "came": [0.0, 1.0]})).mark_line(color=GREY, strokeDash=[4, 4])
    line = alt.Chart(rows).mark_line(color=BLUE, point={"color": BLUE, "size": 60})
    chart = (ideal.encode(x=x, y=y) + line.encode(x=x, y=y)).properties(width=300, height=220)
    return draw(chart, "Risk of staying away as foretold, against the share that did; the dashed line is perfect")


def agreement(rows: Sequence[tuple[str, float]]) -> str:
    """Draw how far two halves of the customers agree on each axis: name in words, 0-1."""
    frame = pd.DataFrame(rows, columns=["axis", "agreement"])
    chart = (
        alt.Chart(frame)
        .mark_bar(color=SKY, height=12)
        .encode(
            x=alt.X("agreement:Q", title="agreement of two halves (1: always)", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("axis:N", title=None, sort="-x"),
        )
        .properties(width=300, height=alt.Step(20))
    )
    return draw(chart, "How far two halves of the customers agree on the segments of each axis")
