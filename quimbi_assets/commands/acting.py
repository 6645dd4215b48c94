"""Prints what rules do about customers: all of a store, or one, and what is wrong with the rules.

Belongs here: ``quimbi actions``. Does not: rules (``actions``), deciding (``resources.actions``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from quimbi_assets.actions.rules import EFFECTS, UnusableRulesError, ready_text
from quimbi_assets.commands.console import err, out, print_json
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.actions import Check, check_rules, route_ticket
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.identities import customer_called
from quimbi_assets.texts import shown


def show(store_id: str | None, customer_id: str | None, *, check: bool, example: bool, as_json: bool) -> None:
    """Print what the command asks for; exit 1 where a check has something to mend."""
    if example:
        if store_id or customer_id or check:
            raise BadInputError("--example prints the ready rules and takes nothing else")
        return out.print(ready_text(), markup=False, highlight=False, end="", soft_wrap=True)
    if store_id is None:
        raise BadInputError("--store-id is missing: say of which store, or --example for the ready rules")
    if customer_id is not None and check:
        raise BadInputError("--check is of all customers, --customer-id of one: give one of them")
    database = open_database()
    if customer_id is not None:
        with database.snapshot(store_id) as now:
            routing = route_ticket(now, store_id, customer_called(now, store_id, customer_id))
        return print_json(routing) if as_json else print_routing(routing)
    try:
        state = check_rules(database, store_id)
    except UnusableRulesError as error:
        if not check:
            raise
        if as_json:
            print_json({"store_id": store_id, "problems": list(error.problems)})
        for line in () if as_json else error.problems:
            out.print(f"mend      {line}", markup=False)
        raise click.exceptions.Exit(1) from None
    print_json(check_record(store_id, state)) if as_json else print_rules(state, findings_only=check)
    if check and state.problems:
        raise click.exceptions.Exit(1)
    return None


def check_record(store_id: str, check: Check) -> dict[str, Any]:
    """Return the structure of ``quimbi actions --json``."""
    evaluation, book = check.evaluation, check.rules.book
    reasons = {**check.rules.problems, **check.never, **check.idle}
    return {
        "store_id": store_id,
        "file": book.where,
        "customers": evaluation.customers,
        "rules": [
            {
                "rule": one.name,
                "about": one.about,
                "when": one.when,
                "sets": dict(one.sets),
                "stop": one.stop,
                **vars(one.trial),
                "chosen": evaluation.chosen.get(one.name, 0),
                "acted": evaluation.acted.get(one.name, 0),
                "left_alone": evaluation.held.get(one.name, 0),
                "may_not_be_written_to": evaluation.barred.get(one.name, 0),
                "problem": reasons.get(one.name),
            }
            for one in book.of_store(store_id)
        ],
        "otherwise": dict(book.otherwise),
        "conflicts": [vars(one) for one in evaluation.conflicts],
        "problems": check.problems,
        "nobody": check.nobody,
        "idle": dict(check.idle),
    }


def print_rules(check: Check, *, findings_only: bool) -> None:
    """Print the rules with whom they choose, then what is to be known of them, or that alone."""
    evaluation = check.evaluation
    if not findings_only:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in ("rule", "chosen", "acted on", "control"):
            table.add_column(header, justify="left" if header == "rule" else "right", no_wrap=True)
        table.add_column("does")
        for name, chosen in evaluation.chosen.items():
            rule = next(one.rule for one in check.rules.compiled if one.rule.name == name)
            does = ", ".join(f"{effect}: {text}" for effect, text in rule.sets.items())
            counts = (f"{n:,}" for n in (chosen, evaluation.acted[name], evaluation.held[name]))
            table.add_row(*map(Text, (name, *counts, does)))
        out.print(table, soft_wrap=False)
        otherwise = ", ".join(f"{effect}: {text}" for effect, text in check.rules.book.otherwise.items())
        out.print(f"otherwise {otherwise}; {plural(evaluation.customers, 'customer')} by rules", markup=False)
    for line in check.conflicts:
        out.print(f"conflict  {line}", markup=False)
    for line in check.barred:
        out.print(f"consent   {line}", markup=False)
    for name, why in check.idle.items():
        out.print(f"idle      {name}: {why}", markup=False)
    for name in check.nobody if findings_only else ():
        out.print(f"nobody    {name} fires for nobody today", markup=False)
    for line in check.problems:
        out.print(f"mend      {line}", markup=False)
    if findings_only and not (check.conflicts or check.idle or check.problems):
        out.print("nothing to mend: every rule can fire, no two contradict each other")


def print_routing(routing: Mapping[str, Any]) -> None:
    """Print what is to be done about a customer, why, and which rules nearly fired."""
    who = f"Customer {shown(routing['customer_id'])}"
    for effect in EFFECTS:
        if (value := routing[effect]) is not None:
            by = routing["by"].get(effect)
            out.print(f"{effect:9} {value}  ({by or 'as where no rule says otherwise'})", markup=False)
    if routing["reason"]:
        out.print(f"{who}: {routing['reason']}", markup=False)
    for one in routing["fired"]:
        out.print(f"fires     {one['rule']}: {_because(one['why'])}", markup=False)
        for effect, why in one["unheard"].items():
            out.print(f"          not its {effect}: {_why_unheard(why)}", markup=False)
    for one in routing["nearly"]:
        out.print(f"nearly    {one['rule']}, but for {' or '.join(map(_wanting, one['wanting']))}", markup=False)
    for rule in routing["left_alone"]:
        out.print(f"left alone by {rule}: they are in its control group", markup=False)
    for rule, why in routing["not_asked"].items():
        err.print(f"{rule} was not asked: {why}", markup=False)


def _why_unheard(why: str) -> str:
    return why if " " in why else f"{why} is heard before"


def _because(reasons: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{one['condition']} (is {_value(one['value'])})" for one in reasons)


def _wanting(reason: Mapping[str, Any]) -> str:
    more = "more than " if reason["is_more"] else ""
    short = "" if reason["short_by"] is None else f", {more}{_value(reason['short_by'])} short"
    return f"{reason['condition']} (is {_value(reason['value'])}{short})"


def _value(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return str(value)
