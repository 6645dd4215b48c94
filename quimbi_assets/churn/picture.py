"""A churn model as a picture: the risk it gave beside what happened, on history it had not seen.

Belongs here: drawing. Does not: any figure that is not drawn.
"""

from quimbi_assets.churn.model import SILENCE_ALONE
from quimbi_assets.churn.trial import Trial
from quimbi_assets.clustering.canvas import COLOURS, QUIET, canvas, plain_axes, to_png


def draw_calibration(trial: Trial) -> bytes:
    """Draw how risk and outcome agree, for the model that serves and for silence alone.

    Parameters
    ----------
    trial : Trial
        With ten bins of customers or fewer.

    Returns
    -------
    bytes
        PNG.
    """
    alone = trial.serves == SILENCE_ALONE
    title = "Churn risk: days since the last order serve alone" if alone else "Churn risk, beside the last order alone"
    subtitle = (
        f"No order in the {trial.horizon_days} days from {trial.cut:%Y-%m-%d} on, not seen by either; "
        f"{trial.n_customers:,} customers in tenths by risk"
    )
    figure = canvas(8.0, 5.0, title, subtitle)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.7))
    axes.plot([0, 100], [0, 100], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), label="as it should be")
    shown = [(trial.silence_bins, COLOURS[7], "days since the last order alone", trial.silence)]
    shown += [] if alone else [(trial.bins, COLOURS[0], f"model ({trial.kind})", trial.model)]
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
