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
    height = 1.5 + 0.42 * len(table)
    n_better = int((table["verdict"] == BETTER).sum())
    subtitle = (
        f"Share of variance of the next {found.horizon_days} days' outcomes that segments explain, and as many "
        f"RFM groups; mean of {len(found.cuts)} cuts; orange: no better than RFM"
    )
    title = f"Segments tell more than RFM on {n_better} of {len(table)} axes"
    figure = canvas(9.0, height, title, subtitle)
    axes = figure.add_axes((0.3, 0.5 / height, 0.66, 1 - 1.45 / height))
    places = np.arange(len(table))
    for offset, column, colour, label in (
        (0.19, "segments", COLOURS[0], "segments"),
        (-0.19, "rfm", COLOURS[7], "RFM"),
    ):
        axes.barh(places + offset, 100 * table[column].clip(lower=0), 0.36, color=colour, label=label)
        for place, value in zip(places, table[column], strict=True):
            text = f"{100 * value:.1f} %"
            at = (100 * max(value, 0), place + offset)
            axes.annotate(text, at, (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=QUIET)
    axes.set_yticks(places, [in_words(name) for name in table.index])
    axes.set_xlim(0, max(1.0, 112 * float(table[["segments", "rfm"]].to_numpy().max())))
    axes.set_xlabel("variance explained, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="x")
    for tick, verdict in zip(axes.get_yticklabels(), table["verdict"], strict=True):
        tick.set_color(INK if verdict == BETTER else COLOURS[1])
    axes.legend(loc="lower right", frameon=False, fontsize=8.5)
    return to_png(figure)
