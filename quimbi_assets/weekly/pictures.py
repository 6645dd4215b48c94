"""Pictures of change, as PNG bytes: who moved from where to where, and how large segments were week by week.

Belongs here: drawing. Does not: any figure that is not drawn, the look (``clustering.canvas``).
"""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd

from quimbi_assets.clustering.canvas import COLOURS, INK, canvas, in_words, plain_axes, to_png
from quimbi_assets.weekly.causes import MODEL
from quimbi_assets.weekly.drift import ARCHETYPE

MOST_PANELS = 6


def migration_heat_map(migrations: pd.DataFrame, names: Mapping[str, str]) -> bytes:
    """Draw from which segment to which customers moved, for the axes with most migrations, up to six.

    Of ``axis_name``, ``from_segment``, ``to_segment``, ``cause``; archetypes are left out, being too many to draw, and
    what a changed model moved, being nobody's move. Segments without a name are called by their ids.
    """
    moves = migrations[(migrations["axis_name"] != ARCHETYPE) & (migrations["cause"] != MODEL)]
    axes_ = list(moves["axis_name"].value_counts().head(MOST_PANELS).index)
    n_rows = max((len(axes_) + 1) // 2, 1)
    height = 1.0 + 3.1 * n_rows
    figure = canvas(12.0, height, "Migrations", f"{len(moves):,} moves between segments: from (row) to (column)")
    for position, axis in enumerate(axes_):
        row, column = divmod(position, 2)
        bottom = (height - 0.95 - 3.1 * (row + 1) + 1.15) / height
        panel = figure.add_axes(((2.1 + 6.0 * column) / 12.0, bottom, 3.5 / 12.0, 1.65 / height))
        of_axis = moves[moves["axis_name"] == axis]
        segments = sorted(set(of_axis["from_segment"]) | set(of_axis["to_segment"]))
        table = pd.crosstab(of_axis["from_segment"], of_axis["to_segment"]).reindex(index=segments, columns=segments)
        counts = table.fillna(0).to_numpy()
        panel.imshow(counts, cmap="Blues", aspect="auto", vmax=max(counts.max() * 1.3, 1.0))
        for i, j in np.argwhere(counts > 0):
            panel.text(j, i, f"{int(counts[i, j]):,}", ha="center", va="center", fontsize=8, color=INK)
        labels = [_short(names.get(segment, segment)) for segment in segments]
        panel.set_xticks(range(len(segments)), labels, fontsize=6.5, rotation=18, ha="right")
        panel.set_yticks(range(len(segments)), labels, fontsize=7)
        panel.set_title(in_words(axis), fontsize=9.5, color=INK, loc="left")
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return to_png(figure)


def shares_over_weeks(shares: pd.DataFrame) -> bytes:
    """Draw the size of every segment week by week, a panel an axis.

    Of ``week``, ``axis_name``, ``segment_id``, ``segment_name``, ``share`` (0-1).
    """
    axes_ = list(dict.fromkeys(shares["axis_name"]))
    n_rows = max((len(axes_) + 1) // 2, 1)
    height = 1.0 + 2.1 * n_rows
    figure = canvas(12.0, height, "Segment shares over weeks", "Share of customers whose dominant segment it is")
    for position, axis in enumerate(axes_):
        row, column = divmod(position, 2)
        bottom = (height - 0.95 - 2.1 * (row + 1) + 0.5) / height
        panel = figure.add_axes(((0.6 + 6.0 * column) / 12.0, bottom, 3.2 / 12.0, 1.3 / height))
        of_axis = shares[shares["axis_name"] == axis]
        table = of_axis.pivot_table(index="week", columns="segment_id", values="share", aggfunc="first").fillna(0.0)
        names = of_axis.drop_duplicates("segment_id").set_index("segment_id")["segment_name"]
        base = np.zeros(len(table))
        x = np.arange(len(table))
        for i, segment in enumerate(table.columns):
            top = base + 100 * table[segment].to_numpy()
            label = _short(str(names[segment]))
            panel.fill_between(x, base, top, color=COLOURS[i % len(COLOURS)], label=label, linewidth=0, step="mid")
            base = top
        shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), 4)).astype(int))
        panel.set_xticks(shown, [f"{table.index[i]:%d %b}" for i in shown], fontsize=7)
        panel.set_xlim(-0.5, len(x) - 0.5)
        panel.set_ylim(0, 100)
        panel.set_title(in_words(axis), fontsize=9, color=INK, loc="left")
        panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.05), frameon=False, fontsize=6.5)
        plain_axes(panel)
        panel.tick_params(labelsize=7)
    return to_png(figure)


def _short(name: str) -> str:
    return textwrap.shorten(in_words(name), 30, placeholder=" …")
