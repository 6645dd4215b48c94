"""What is tried on customers, and which of them are the control group: a share of them, by a hash of their ids.

Belongs here: the settings of a trial, the hash, for one customer and as SQL. Does not: the record of who was assigned
(``resources.postgres.tables.treatments``).

A customer is on the same side of a subject in every run, on every machine and in every engine; two subjects divide the
same customers independently of each other. A larger share holds all who are in a smaller one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.errors import BadInputError

Outcome = Literal["ordered", "orders", "spend", "reopened", "rating"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
MEANINGS: Mapping[Outcome, str] = {
    "ordered": "who ordered",
    "orders": "orders a customer",
    "spend": "spend a customer, net of refunds",
    "reopened": "tickets opened again, a customer",
    "rating": "rating of support, of those who gave one",
}
SHARES: tuple[Outcome, ...] = ("ordered",)
"""Outcomes that a customer has or has not."""
OF_TICKETS: tuple[Outcome, ...] = ("reopened", "rating")
"""Outcomes that are read of tickets, the others of orders."""
LESS_IS_BETTER: tuple[Outcome, ...] = ("reopened",)
MOST_CONTROL, USUAL_CONTROL = 0.5, 0.1
LONGEST_DAYS, MOST_WEEKS = 365, 104
_BITS = 32
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Trial:
    """How a subject is tried; a value that cannot be is a BadInputError."""

    control: float = USUAL_CONTROL
    """Share of customers who are never acted on; 0: nobody, and nothing is measured."""
    outcome: Outcome = "ordered"
    window_days: int = 30
    """Days from entry on in which the outcome counts."""
    weeks: int = 26
    """Weeks from the first entry on in which whoever enters counts."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.outcome not in OUTCOMES:
            raise BadInputError(f"outcome {self.outcome!r} cannot be used; there are: {', '.join(OUTCOMES)}")
        for name, is_right, range_ in (
            ("control", 0 <= self.control <= MOST_CONTROL, f"0 to {MOST_CONTROL}"),
            ("window_days", 1 <= self.window_days <= LONGEST_DAYS, f"1 to {LONGEST_DAYS}"),
            ("weeks", 1 <= self.weeks <= MOST_WEEKS, f"1 to {MOST_WEEKS}"),
        ):
            if not is_right:
                raise BadInputError(f"{name} {getattr(self, name)} cannot be used: give {range_}")


def in_control(store_id: str, subject: str, customer_id: str, share: float) -> bool:
    """Whether a customer of a store is in the control group of a subject that holds a share of all.

    >>> sum(in_control("shop", "audience/cooling", str(n), 0.1) for n in range(1000))
    95
    """
    text = _SEPARATOR.join((store_id, subject, customer_id))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8] < control_below(share)


def in_control_each(store_id: str, subject: str, customers: Sequence[str], share: float) -> NDArray[np.bool_]:
    """Return ``in_control`` of many customers, shape (n,), in their order."""
    import duckdb
    import pyarrow as pa

    ids = pa.table(
        {"place": pa.array(range(len(customers)), pa.int64()), "customer_id": pa.array(customers, pa.string())}
    )
    condition = in_control_template("customer_id", "?", "?", "?")
    with duckdb.connect() as connection:
        connection.register("ids", ids)
        asked = [store_id, subject, control_below(share)]
        rows = connection.execute(f"SELECT {condition} AS side FROM ids ORDER BY place", asked).fetchnumpy()
    return np.asarray(rows["side"], dtype=np.bool_)


def control_below(share: float) -> str:
    """Return below which eight hexadecimal digits of the hash a customer is in a control group of this share.

    >>> control_below(0.5), control_below(0.0), control_below(1.0)
    ('80000000', '00000000', 'g')
    """
    return "g" if share >= 1 else f"{round(share * 2**_BITS):08x}"


def in_control_sql(customer: str) -> str:
    """Return ``in_control`` of a column as SQL, for PostgreSQL through psycopg2; ``parameters`` has its parameters."""
    return in_control_template(customer, "%(store)s", "%(subject)s", "%(control_below)s")


def in_control_template(customer: str, store: str, subject: str, below: str) -> str:
    """Return the condition over SQL of its parts; DuckDB and PostgreSQL (of encoding UTF-8) read it alike."""
    # What is alike for all customers stands first: the server puts it together once. Digits after the eighth change
    # nothing of what is less than eight.
    apart = f"|| chr({ord(_SEPARATOR)}) ||"
    return f'md5({store} {apart} {subject} {apart} {customer}) < {below} COLLATE "C"'


def parameters(store_id: str, subject: str, share: float) -> dict[str, Any]:
    """Return the parameters of ``in_control_sql``."""
    return {"store": store_id, "subject": subject, "control_below": control_below(share)}
