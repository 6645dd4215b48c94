"""Draws the pictures of the explanations: from a simulated store where there is something to measure, else as diagrams.

``.venv/bin/python docs/drawings.py``; pictures are committed, since they change with the ideas and not with the code.
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np

from quimbi_assets.simulation import simulate_store

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURES = Path(__file__).with_name("pictures")
VALUE = Path(__file__).with_name("adr") / "0016-value.md"
INK, BLUE, ORANGE, GREEN, GREY = "#1f2933", "#3b6ea8", "#c8742a", "#4d8f5b", "#9aa5b1"
WIDE = (7.6, 3.2)
plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "text.color": INK})


def main() -> None:
    """Draw them all."""
    for draw in (fuzzy, chance, identity, causes, value, names, orders, privacy):
        figure, axes = plt.subplots(figsize=WIDE, layout="constrained")
        draw(axes)
        figure.savefig(PICTURES / f"why_{draw.__name__}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)


def fuzzy(axes: plt.Axes) -> None:
    """Memberships of customers along one feature, between three centres."""
    centres = np.array([0.0, 2.0, 5.0])
    at = np.linspace(-1, 6, 400)
    weights = np.exp(-np.abs(at[:, None] - centres))
    for share, colour, name in zip(
        (weights / weights.sum(1, keepdims=True)).T, (BLUE, ORANGE, GREEN), "ABC", strict=True
    ):
        axes.plot(at, share, color=colour, lw=2.5)
        axes.annotate(f"segment {name}", (centres["ABC".index(name)], share.max() + 0.03), color=colour, ha="center")
    for customer, text in ((0.1, "clear"), (1.0, "between two")):
        axes.axvline(customer, color=GREY, lw=1, ls=":")
        axes.annotate(text, (customer, 0.02), rotation=90, color=INK, ha="right", va="bottom", fontsize=8)
    axes.set(xlabel="a customer's place, standard deviations", ylabel="membership", ylim=(0, 1))


def chance(axes: plt.Axes) -> None:
    """How often customers buy at a weekend, and would if orders were dealt anew among them."""
    store = simulate_store(1_500, seed=0).orders.dropna(subset="customer_id")
    weekend = store["order_date"].dt.tz_convert("America/New_York").dt.day_of_week.ge(5).to_numpy()
    n_orders = store.groupby("customer_id")["customer_id"].transform("size").to_numpy()
    customers = store["customer_id"].to_numpy()[n_orders >= 8]
    weekend = weekend[n_orders >= 8]
    dealt = np.random.default_rng(0).permutation(weekend)
    edges = np.linspace(0, 1, 13)
    for flags, colour, name in ((dealt, GREY, "orders dealt anew"), (weekend, BLUE, "the store")):
        share = np.array([flags[customers == one].mean() for one in np.unique(customers)])
        axes.hist(share, edges, color=colour, alpha=0.65, label=f"{name}: variance {share.var():.3f}")
    axes.set(xlabel="share of a customer's orders at a weekend (8 orders and more)", ylabel="customers")
    axes.legend(frameon=False)


def identity(axes: plt.Axes) -> None:
    """What becomes of segments at a refit."""
    flows = [
        (0.80, 0.78, BLUE, "kept"),
        (0.52, 0.60, GREEN, "split"),
        (0.52, 0.42, GREEN, ""),
        (0.24, 0.24, ORANGE, "merged"),
    ]
    flows += [(0.12, 0.24, ORANGE, "")]
    for old, new, colour, name in flows:
        axes.annotate("", (0.68, new), (0.32, old), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.5})
        axes.text(0.5, (old + new) / 2 + 0.04, name, color=colour, ha="center")
    for left, places in ((0.04, (0.80, 0.52, 0.24, 0.12, 0.0)), (0.68, (0.78, 0.60, 0.42, 0.24, 0.06))):
        for number, place in enumerate(places, 1):
            _box(axes, left, place, 0.28, 0.08, f"{'old' if left < 0.5 else 'new'} segment {number}")
    axes.text(0.34, 0.02, "retired", color=GREY, ha="left")
    axes.text(0.66, 0.08, "born", color=GREY, ha="right")
    _diagram(axes)


def causes(axes: plt.Axes) -> None:
    """Which cause a move has."""
    questions = ["was the past\nchanged?", "another\nmodel?", "anything\nnew?", "only time\npassed?"]
    answers = ["corrected", "model", "acted", "silent"]
    for number, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        left = 0.01 + number * 0.25
        _box(axes, left, 0.55, 0.2, 0.26, question)
        _box(axes, left, 0.05, 0.2, 0.2, answer, (BLUE if answer in ("acted", "silent") else GREY))
        axes.annotate(
            "yes",
            (left + 0.1, 0.25),
            (left + 0.1, 0.55),
            ha="center",
            va="top",
            arrowprops={"arrowstyle": "-|>", "color": INK},
        )
        if number < 3:
            arrow = {"arrowstyle": "-|>", "color": INK}
            axes.annotate("", (left + 0.25, 0.68), (left + 0.2, 0.68), arrowprops=arrow)
            axes.text(left + 0.225, 0.71, "no", ha="center", fontsize=8)
    axes.text(0.5, 0.93, "a customer's memberships moved beyond noise", ha="center")
    _diagram(axes)


def value(axes: plt.Axes) -> None:
    """Error of spend foretold beside two simple figures, out of the table of decision 16."""
    rows = re.findall(
        r"^\| ([\w, ]+?)(?: \(at random\))? \| ([*.\d]+) \| ([*.\d]+) \| ([*.\d]+) \|", VALUE.read_text(), re.M
    )[:5]
    errors = np.array([[float(cell.strip("*")) for cell in row[1:]] for row in rows])
    ways = (("foretold", BLUE), ("spend of as many days before", GREY), ("average at their rate", ORANGE))
    for number, (name, colour) in enumerate(ways):
        axes.bar(np.arange(len(rows)) + 0.27 * (number - 1), errors[:, number], 0.25, color=colour, label=name)
    names = [row[0].replace("online_retail_2009_2010", "UK web shop").replace(", 3,000 customers", "") for row in rows]
    axes.set_xticks(
        np.arange(len(rows)), [name.replace("retail_case_study", "at random") for name in names], fontsize=8
    )
    axes.set(ylabel="error / mean spend of 90 days")
    axes.legend(frameon=False, fontsize=8)


def names(axes: plt.Axes) -> None:
    """Who gives a segment its name."""
    steps = ["a person:\nquimbi rename", "Claude: numbers in,\nnames out", "rules: words whose\nfigures are true"]
    notes = [
        "stays, whatever moves",
        "used if it passes every test,\nalso by a reader who has only names",
        "always work",
    ]
    for number, (step, note) in enumerate(zip(steps, notes, strict=True)):
        left = 0.01 + number * 0.35
        _box(axes, left, 0.45, 0.27, 0.3, step, (GREEN, BLUE, GREY)[number])
        axes.text(left + 0.135, 0.36, note, ha="center", va="top", fontsize=8)
        if number < 2:
            axes.annotate("", (left + 0.35, 0.6), (left + 0.27, 0.6), arrowprops={"arrowstyle": "-|>", "color": INK})
            axes.text(left + 0.31, 0.64, "else", ha="center", fontsize=8)
    _diagram(axes)


def orders(axes: plt.Axes) -> None:
    """What the order policy leaves out of a simulated store."""
    store = simulate_store(300, seed=0).orders
    status = store["status"].fillna("")
    counts = {
        "cancelled": int(status.isin(["cancelled"]).sum()),
        "guests": int((store["customer_id"].isna() & ~status.isin(["cancelled", "test"])).sum()),
        "tests": int((status == "test").sum()),
    }
    counts = {"orders in the file": len(store), **counts, "purchases": len(store) - sum(counts.values())}
    colours = [GREY, ORANGE, ORANGE, ORANGE, BLUE]
    bars = axes.barh(list(counts), list(counts.values()), color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.invert_yaxis()
    axes.set(xlabel="orders")


def privacy(axes: plt.Axes) -> None:
    """What leaves, and to whom."""
    _box(axes, 0.38, 0.36, 0.24, 0.28, "your database:\nids, orders,\nhashed keys")
    flows = [
        (0.0, 0.78, "your files:\naddresses", False, "read, hashed"),
        (0.0, 0.06, "pages, psql, HTTP,\nagents: ids", True, "who reaches it"),
        (0.76, 0.78, "Claude:\nrounded figures\nof segments", True, "if a key is set"),
        (0.76, 0.42, "Klaviyo: e-mail and\ngroups of who agreed", True, "--send"),
        (0.76, 0.06, "Meta, Google: SHA-256\nof who agreed", True, "a file"),
    ]
    for left, bottom, text, out, label in flows:
        _box(axes, left, bottom, 0.24, 0.2, text, ORANGE if out else GREY)
        ends = [(0.5, 0.5), (left + 0.12, bottom + 0.1)]
        inner = (0.38 if left < 0.38 else 0.62, 0.5)
        outer = (0.24 if left < 0.38 else 0.76, ends[1][1])
        tip, tail = (outer, inner) if out else (inner, outer)
        axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "color": INK})
        axes.text(
            (inner[0] + outer[0]) / 2,
            (inner[1] + outer[1]) / 2,
            label,
            ha="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    _diagram(axes)


def _box(
    axes: plt.Axes, left: float, bottom: float, width: float, height: float, text: str, colour: str = BLUE
) -> None:
    axes.add_patch(plt.Rectangle((left, bottom), width, height, facecolor=colour, alpha=0.18, edgecolor=colour))
    axes.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=9)


def _diagram(axes: plt.Axes) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.02))
    axes.axis("off")


if __name__ == "__main__":
    main()
