"""A churn model as a picture: the risk it gave beside what happened, on history it had not seen.

Belongs here: drawing. Does not: any figure that is not drawn.
"""

from quimbi_assets.churn.measures import calibration_bins
from quimbi_assets.churn.model import SILENCE_ALONE
from quimbi_assets.churn.trial import Trial, bins_of
from quimbi_assets.clustering.canvas import COLOURS, QUIET, canvas, plain_axes, to_png


def draw_calibration(trial: Trial) -> bytes:
    """Draw how risk and outcome agree, for the model that serves and for silence alone.

    Parameters
    ----------
    trial : Trial
        Its windows together as thick lines; each on its own, of what serves, as a thin one.

    Returns
    -------
    bytes
        PNG.
    """
    alone = trial.serves == SILENCE_ALONE
    title = "Churn risk: days since the last order serve alone" if alone else "Churn risk, beside the last order alone"
    starts = ", ".join(f"{window.cut:%Y-%m-%d}" for window in reversed(trial.windows))
    subtitle = (
        f"No order in the {trial.horizon_days} days from {starts} on, foretold before; up to "
        f"{trial.n_customers:,} customers in tenths by risk"
    )
    figure = canvas(8.0, 5.0, title, subtitle)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.7))
    axes.plot([0, 100], [0, 100], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), label="as it should be")
    if len(trial.windows) > 1:
        for i, window in enumerate(trial.windows):
            thin = calibration_bins(window.truth, trial.told(window))
            label = "thin: each window on its own" if i == 0 else None
            colour = COLOURS[7] if alone else COLOURS[0]
            axes.plot(100 * thin[:, 0], 100 * thin[:, 1], color=colour, linewidth=0.7, alpha=0.45, label=label)
    silence_bins = bins_of(trial.windows, lambda window: window.alone)
    shown = [(silence_bins, COLOURS[7], "days since the last order alone", trial.silence)]
    if not alone:
        bins = bins_of(trial.windows, lambda window: window.risk)
        shown.append((bins, COLOURS[0], f"model ({trial.kind})", trial.model))
    for bins, colour, label, figures in shown:
        text = f"{label}: AUC {figures.auc.value:.3f}, calibration error {100 * figures.calibration_error:.1f} points"
        axes.plot(100 * bins[:, 0], 100 * bins[:, 1], "o-", color=colour, markersize=5, linewidth=1.4, label=text)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("risk given, %", fontsize=9, color=QUIET)
    axes.set_ylabel("stayed away, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="both")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5)
    return to_png(figure)
