"""A run from the command line: progress while it works, its result in a few lines after.

Belongs here: what ``quimbi run`` prints. Does not: the run itself (``running``), full tables (``showing``).
"""

import time

from quimbi_assets.commands.console import out, steps
from quimbi_assets.commands.running import RunOptions, plan_store, run_store


def run_and_summarise(store_id: str, options: RunOptions, *, wait: bool = False) -> None:
    """Run a store and print, per axis, how many segments were found or why none."""
    started = time.monotonic()
    with steps(store_id) as progress:
        run_id = run_store(store_id, options, progress, wait=wait)
    from quimbi_assets.commands.showing import churn_of, held_reasons_of, segments_of

    found = segments_of(store_id)
    held = held_reasons_of(store_id)
    shown = [axis for axis in found["axes"] if options.axes is None or axis["axis"] in options.axes]
    for axis in shown:
        if axis["segments"]:
            names = ", ".join(segment["segment_name"] for segment in axis["segments"])
            weak = f"weak ({axis['reason']}), " if axis["status"] == "weak" else ""
            out.print(f"{axis['axis']:28} {weak}{axis['k']} segments: {names}", markup=False)
            if reason := held.get(axis["axis"]):
                out.print(
                    f"{'':28} refit held, the earlier model serves: {reason} (--promote accepts it)", markup=False
                )
        else:
            out.print(f"{axis['axis']:28} {axis['status']}: {axis['reason']}", markup=False)
    out.print(f"{'churn risk':28} {churn_of(store_id)}", markup=False)
    out.print(
        f"store {store_id} as of {found['as_of']}: run {run_id} took {time.monotonic() - started:.1f} s. "
        f"Details: quimbi segments --store-id {store_id}; in the browser: quimbi ui",
        markup=False,
    )


def print_plan(store_id: str, options: RunOptions) -> None:
    """Print what a run would do."""
    plan = plan_store(store_id, options)
    out.print(f"store {store_id} as of {plan['as_of']}: {plan['orders']:,} orders of {plan['customers']:,} customers")
    for what, count in plan["policy"].items():
        out.print(f"  {what}: {count:,}", markup=False)
    for axis, state in plan["axes"].items():
        out.print(f"  {axis:28} {state}", markup=False)
    if plan["customers"] < options.min_population:
        out.print(f"  too few customers: fewer than --min-population {options.min_population}", markup=False)
    out.print("dry run: nothing was computed or written")
