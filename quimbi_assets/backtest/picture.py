"""A backtest as a picture: per axis what its segments explained, beside RFM.

Belongs here: drawing. Does not: any figure that is not drawn.
"""

import numpy as np

from quimbi_assets.backtest.verdict import BETTER, UNKNOWN, Backtest
from quimbi_assets.clustering.canvas import COLOURS, INK, QUIET, canvas, in_words, plain_axes, to_png


def draw_backtest(found: Backtest) -> bytes:
    """Draw a backtest.

    Parameters
    ----------
    found : Backtest
        With one measured axis or more.

    Returns
    -------
    bytes
        PNG; its height grows with the axes measured.
    """
    table = found.axes[found.axes["verdict"] != UNKNOWN].sort_values("difference")
    height = 1.7 + 0.55 * len(table)
    n_better = int((table["verdict"] == BETTER).sum())
    n_fuzzy = int((table["memberships_verdict"] == BETTER).sum())
    subtitle = (
        f"Share of variance of the next {found.horizon_days} days' outcomes that they explain, and as many RFM groups; "
        f"mean of {len(found.cuts)} cuts; orange: segments no better than RFM"
    )
    title = f"Segments tell more than RFM on {n_better} of {len(table)} axes, memberships in them on {n_fuzzy}"
    figure = canvas(9.6, height, title, subtitle)
    axes = figure.add_axes((0.24, 0.5 / height, 0.72, 1 - 1.65 / height))
    places = np.arange(len(table))
    for offset, column, colour, strength, label in (
        (0.27, "memberships", COLOURS[0], 1.0, "memberships in segments"),
        (0.0, "segments", COLOURS[0], 0.55, "segments"),
        (-0.27, "rfm", COLOURS[7], 1.0, "RFM groups"),
    ):
        axes.barh(places + offset, 100 * table[column].clip(lower=0), 0.25, color=colour, alpha=strength, label=label)
        for place, value in zip(places, table[column], strict=True):
            text = f"{100 * value:.1f} %"
            at = (100 * max(value, 0), place + offset)
            axes.annotate(text, at, (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=QUIET)
    axes.set_yticks(places, [in_words(name) for name in table.index])
    axes.set_xlim(0, max(1.0, 112 * float(table[["segments", "memberships", "rfm"]].to_numpy().max())))
    axes.set_xlabel("variance explained, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="x")
    for tick, verdict in zip(axes.get_yticklabels(), table["verdict"], strict=True):
        tick.set_color(INK if verdict == BETTER else COLOURS[1])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8.5)
    return to_png(figure)
