"""Whom the store is told of: customers who have lapsed and those whom an act moved far, and of these a few, in words.

Belongs here: who gives rise to an alert, which of them a notification names, its text. Does not: sending anything.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.lift.assignment import in_control_each
from quimbi_assets.naming.values import plural
from quimbi_assets.store import StorePlan
from quimbi_assets.texts import code
from quimbi_assets.weekly.causes import ACTED, SILENT
from quimbi_assets.weekly.drift import ARCHETYPE
from quimbi_assets.weekly.silence import SilenceTest

NEWLY_AT_RISK, MOVED = "newly_at_risk", "moved"
FALLEN_SILENT = "fallen silent"
"""What people read of ``newly_at_risk``: the lifecycle's stage "at risk" and the risk of leaving are others."""
ALERT_CAUSES = {NEWLY_AT_RISK: SILENT, MOVED: ACTED}
"""Cause that each alert names."""
MOST_NAMED = 10
"""Customers a notification names, the most valuable first."""
MOST_FLOWS = 5
"""Migrations it tells, the largest first."""
SUBJECT = f"alert/{NEWLY_AT_RISK}"
"""What is tried by naming customers: the same ones are held out in every week and on every machine."""


def decide_alerts(
    cause: NDArray[np.str_],
    lapsed_before: NDArray[np.bool_],
    lapsed: NDArray[np.bool_],
    acted_score: NDArray[np.float64],
    level: float,
    silence: SilenceTest,
) -> NDArray[np.object_]:
    """Return which alert each customer gives rise to, None for most; shape (n,), as all arrays.

    ``newly_at_risk`` (cause: silent) in the week in which a silence becomes unusual for the customer, and not again
    before they order, where the test of ``silence`` says that it foretells anything. ``moved`` (cause: acted) where an
    order, a refund or a ticket moved them (``acted_score``: the drift of the farthest migration on an axis that is not
    weak) further than nearly all do (``level``). Moves that a changed model or corrected data made are never an alert.
    """
    alerts = np.full(len(cause), None, dtype=object)
    alerts[(cause == ACTED) & (acted_score >= level) & (acted_score > 0)] = MOVED
    if silence.reason is None:
        alerts[lapsed & ~lapsed_before & (cause == SILENT)] = NEWLY_AT_RISK
    return alerts


def choose_notifications(
    alerts: pd.DataFrame, named_before: Mapping[str, date], store_id: str, week: date, plan: StorePlan
) -> pd.DataFrame:
    """Decide of every alerted customer of a week whether the store is told of them.

    Its plan says in how many weeks nobody is named again, and which share is never: on them it is measured what naming
    brings (``quimbi lift``).

    ``alerts``: ``customer_id``, ``alert``, ``lifetime_value``, ``churn_risk_score``; ``named_before``: the last week
    before this one in which each was named. Returned is a row an alert, by descending ``priority`` (risk times value;
    where the risk is not known, value): ``customer_id``, ``alert``, ``priority``, ``held_out``, ``repeated``,
    ``named``, ``tried``. At most ``MOST_NAMED`` are named, all of them newly at risk, none held out, none repeated;
    ``tried`` are they, and those held out who would have been.
    """
    alerted = alerts.reset_index(drop=True)
    ids = alerted["customer_id"].astype(str)
    value = alerted["lifetime_value"].astype("float64").fillna(0.0)
    last = ids.map(dict(named_before))
    since = pd.to_datetime(last) > pd.Timestamp(week - timedelta(weeks=plan.repeat_after_weeks))
    chosen = pd.DataFrame(
        {
            "customer_id": ids,
            "alert": alerted["alert"],
            "priority": value * alerted["churn_risk_score"].astype("float64").fillna(1.0),
            "held_out": in_control_each(store_id, SUBJECT, list(ids), plan.holdout_share),
            "repeated": since.fillna(False).to_numpy(dtype=bool),
        }
    ).sort_values(["priority", "customer_id"], ascending=[False, True], ignore_index=True)
    wanted = (chosen["alert"] == NEWLY_AT_RISK) & ~chosen["repeated"]
    tellable = wanted & ~chosen["held_out"]
    named_above = tellable.cumsum() - tellable.astype("int64")
    tried = wanted & (named_above < MOST_NAMED)
    return chosen.assign(named=tried & tellable, tried=tried)


def notification_text(
    store_id: str, week: date, chosen: pd.DataFrame, flows: Sequence[Mapping[str, Any]], currency: str = ""
) -> str:
    """Write the week's notification, plain lines with customers by id only.

    Who has fallen silent (from ``choose_notifications``), and the largest migrations that acts or silence made
    (``flows``, the largest first: ``axis``, ``from_name``, ``to_name``, ``cause``, ``customers``).
    """
    fallen = chosen[chosen["alert"] == NEWLY_AT_RISK]
    named = chosen[chosen["named"]]
    lines = [
        f"{store_id}, week of {week:%d %B %Y}: {plural(len(fallen), 'customer has', 'customers have')} {FALLEN_SILENT}"
    ]
    if len(named):
        lines.append("The most valuable of them (risk of leaving times value so far):")
        lines += [
            f"  {code(customer)}: {priority:,.0f} {currency}".rstrip()
            for customer, priority in zip(named["customer_id"], named["priority"], strict=True)
        ]
    moves = [flow for flow in flows if flow["cause"] in (ACTED, SILENT) and flow["axis"] != ARCHETYPE]
    if moves:
        lines.append("Largest migrations:")
        lines += [f"  {_flow(flow)}" for flow in moves[:MOST_FLOWS]]
    lines.append(f"All of it: quimbi drift --store-id {store_id} --week {week}")
    return "\n".join(lines)


def _flow(flow: Mapping[str, Any]) -> str:
    start, end = (str(flow[f"{side}_name"] or flow[f"{side}_segment"]).replace("_", " ") for side in ("from", "to"))
    why = "after an order, a refund or a ticket" if flow["cause"] == ACTED else "fallen silent"
    return f"{flow['customers']:,} from {start} to {end} ({why})"
