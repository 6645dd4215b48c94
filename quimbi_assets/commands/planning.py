"""Shows and sets what is done for a store unasked.

Belongs here: ``quimbi plan``. Does not: what follows from a plan (``orders.plan``), launching (``defs.schedules``).
"""

from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from quimbi_assets.commands.console import out


def plan_of(store_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Change a store's plan and return it as ``quimbi plan --json`` does.

    Parameters
    ----------
    store_id : str
        A loaded store.
    changes : dict
        Fields of ``StorePlan`` to set; none: the plan stays as it is.

    Returns
    -------
    dict
        ``store_id``, ``time_zone``, the plan's fields, and ``next_due``: when the weekly work comes next, ISO, local.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, or a value cannot be.
    """
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables import store_plans
    from quimbi_assets.resources.postgres.tables.stores import read_store

    database = open_database()
    read_store(database, store_id)
    (planned,) = [store for store in store_plans.planned_stores(database) if store.store_id == store_id]
    plan = replace(planned.plan, **changes)
    if changes:
        store_plans.write_plan(database, store_id, plan)
    # A week from now its last instant is the next one from here.
    following = plan.last_due(pd.Timestamp.now("UTC") + pd.Timedelta(weeks=1), planned.time_zone)
    return {
        "store_id": store_id,
        "time_zone": planned.time_zone,
        **asdict(plan),
        "next_due": following.isoformat(),
    }


def print_plan_of(plan: dict[str, Any]) -> None:
    """Print a plan in words."""
    out.print(
        f"store {plan['store_id']}: weekly work on {plan['weekday']} at {plan['hour']}:00 ({plan['time_zone']}), "
        f"next on {plan['next_due'][:16].replace('T', ' ')}",
        markup=False,
    )
    when = {"weekly": "every week", "monthly": "on the first such day of a month", "never": "never"}
    out.print(f"  models are fitted anew {when[plan['refit']]}", markup=False)
    out.print(f"  the week that ended is recorded {when[plan['snapshot']]}", markup=False)
    out.print(f"  stale when older than {plan['stale_after_days']} days", markup=False)
    out.print(
        f"  messages name nobody twice in {plan['repeat_after_weeks']} weeks, and {plan['holdout_share']:.0%} of "
        "customers never, to compare with",
        markup=False,
    )
    out.print("Schedules run while `quimbi ui` does, once they are switched on there under Automation.", markup=False)
