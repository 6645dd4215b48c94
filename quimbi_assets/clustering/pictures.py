"""Pictures of a fitted axis, as PNG bytes: why this number of segments, where they lie, how large they are.

Belongs here: drawing what a model knows. Does not: any figure that is not drawn, the look (``canvas``), where
pictures are kept.
"""

import textwrap
from threading import Lock

import numpy as np

from quimbi_assets.clustering.canvas import COLOURS, INK, QUIET, canvas, in_words, plain_axes, short_number, to_png
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.selection import chosen_subset

_DRAWING = Lock()


def draw(model: AxisModel) -> dict[str, bytes]:
    """Draw the pictures of a fit, PNG by file name; one fit at a time in a process, as matplotlib wants it."""
    with _DRAWING:
        return {"silhouette_by_k.png": silhouette_by_k(model), "centres.png": centre_heat_map(model)}


def silhouette_by_k(model: AxisModel) -> bytes:
    """Draw separation and stability of every candidate, and its largest and smallest segment; PNG, 880 x 500."""
    table = chosen_subset(model.selection_)
    chosen = table[table["chosen"]].iloc[0]
    agreement = "" if np.isnan(model.halves_ari_) else f"; two halves of the customers agree: {model.halves_ari_:.2f}"
    title = f"{in_words(model.axis)}: {chosen['k']} segments{agreement}"
    figure = canvas(8.0, 4.55, title, str(chosen["reason"]))
    top, bottom = figure.add_axes((0.09, 0.42, 0.88, 0.38)), figure.add_axes((0.09, 0.12, 0.88, 0.2))
    k = table["k"].to_numpy()
    top.axvspan(chosen["k"] - 0.3, chosen["k"] + 0.3, color="#fdf1d6", zorder=0)
    for name, colour, label in (
        ("silhouette", COLOURS[0], "silhouette"),
        ("stability_ari", COLOURS[2], "bootstrap refits (ARI)"),
    ):
        top.plot(k, table[name], "o-", color=colour, linewidth=2, markersize=6, label=label)
        for x, y in table.loc[table[name].notna(), ["k", name]].to_numpy():
            top.annotate(f"{y:.2f}", (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=8, color=colour)
    top.set_ylim(min(0.0, table["silhouette"].min()) - 0.02, 1.15)
    top.legend(loc="upper right", bbox_to_anchor=(1.0, 1.17), ncols=2, frameon=False, fontsize=8.5)
    bottom.bar(k - 0.18, 100 * table["largest_share"], 0.34, color=COLOURS[7], label="largest segment, %")
    bottom.bar(k + 0.18, 100 * table["smallest_share"], 0.34, color=COLOURS[6], label="smallest segment, %")
    bottom.set_ylim(0, 100)
    bottom.legend(loc="upper right", bbox_to_anchor=(1.0, 1.36), ncols=2, frameon=False, fontsize=8.5)
    bottom.set_xlabel("number of segments", fontsize=9, color=QUIET)
    for axes in (top, bottom):
        plain_axes(axes, grid="y")
        axes.set_xlim(k.min() - 0.6, k.max() + 0.6)
        axes.set_xticks(k)
    return to_png(figure)


def centre_heat_map(model: AxisModel) -> bytes:
    """Draw segments by features: colour says how far above or below the others, text the mean in raw units; PNG."""
    k, d = model.centers_shop_.shape
    width, height = 2.6 + 1.35 * d + 0.3, 1.5 + 0.52 * k
    subtitle = "Mean in the store's units; red: above average, blue: below (of those outside structural segments)"
    figure = canvas(width, height, f"{in_words(model.axis)}: segment centres", subtitle)
    axes = figure.add_axes((2.6 / width, 0.12 / height, 1.35 * d / width, 0.52 * k / height))
    is_feature = model.winsor_low_ < model.winsor_high_  # the other columns only tell a structural state
    scores = np.where(is_feature, model.cluster_centers_, 0.0)
    axes.imshow(np.clip(scores, -2, 2), cmap="RdBu_r", vmin=-2.6, vmax=2.6, aspect="auto")
    means, undefined = model.centers_shop_.to_numpy(), model.coverage_.to_numpy() == 0
    for i, j in np.ndindex(k, d):
        text = "n/a" if undefined[i, j] else short_number(float(means[i, j]))
        colour = "white" if abs(scores[i, j]) > 1.7 else INK
        axes.text(j, i, text, ha="center", va="center", fontsize=9.5, color=colour)
    axes.set_xticks(range(d), [textwrap.fill(in_words(f), 15) for f in model.features_], fontsize=8.5)
    labels = [in_words(state or name) for state, name in zip(model.structural_, model.segment_ids_, strict=True)]
    axes.set_yticks(range(k), [f"{n}  {s:.0%}" for n, s in zip(labels, model.shares_, strict=True)], fontsize=9)
    axes.set_xticks(np.arange(d + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0, labeltop=True, labelbottom=False, colors=INK)
    axes.spines[:].set_visible(False)
    return to_png(figure)
