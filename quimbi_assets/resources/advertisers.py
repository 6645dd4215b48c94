"""Customer lists for advertisers: hashed as they ask, with what each customer is worth.

Belongs here: Meta's and Google's files. Does not: addresses (``contacts``), who may be on a list (``tables.consent``).

Both match lower-case addresses without surrounding space, and phones with their country, by SHA-256 in hexadecimal
digits: Meta's of the digits alone, Google's with the ``+`` before them. Google's page of uploads takes the columns of
its template alone, of which none is a value (https://support.google.com/google-ads/answer/7659867); its interface takes
``lifetime_value_micros`` (UserAttribute), which is added on demand. Customers without either are left out: nobody could
be matched by the shop's ids.
"""

from pathlib import Path
from typing import NamedTuple

from quimbi_assets.audiences.filters import Query
from quimbi_assets.resources.contacts import take_contacts
from quimbi_assets.resources.exports import sink
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE
from quimbi_assets.resources.postgres.tables.customers import CHOSEN, utc
from quimbi_assets.resources.postgres.tables.treatments import Group, enter, mark_acted

HASH = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"
EMAIL, PHONE = HASH.format("contacts.email"), HASH.format("contacts.phone")
COLUMNS = {
    "meta": {
        "email": EMAIL,
        "phone": HASH.format("ltrim(contacts.phone, '+')"),
        "value": "round(greatest(profile.lifetime_value, 0)::numeric, 2)",
    },
    "google": {"Email": EMAIL, "Phone": PHONE},
}
"""Headers as the advertisers write them, and what is below each."""
MICROS = {"lifetime_value_micros": "round(greatest(profile.lifetime_value, 0)::numeric * 1000000)::bigint"}
"""Google's column of value, in millionths of the currency."""
JOINED = "LEFT JOIN contacts ON contacts.customer_id = profile.customer_id"
MAY = f"{CONTACTABLE} AND NOT coalesce(contacts.is_blocked, false)"


class Written(NamedTuple):
    """What became of a list."""

    rows: int
    without_address: int
    """Customers left out, by whom nobody could be matched."""
    controls: int
    """Customers left out, being the control group."""


def write_advertisers_list(
    database: Database,
    store_id: str,
    query: Query,
    path: Path,
    form: str,
    contacts: Path | None,
    *,
    value: bool = False,
    group: Group | None = None,
) -> Written:
    """Write a list in the form ``meta`` or ``google``: whom a filter chooses and who may be written to.

    Of a ``group`` those who could be matched enter its trial, and the control group is left out.

    ``value``: Google's with what each customer is worth, too; Meta's always has it.
    """
    acted, listed = (query, query) if group is None else (group.acted(store_id), group.entered(store_id))
    everybody, chosen, recorded = (
        (CHOSEN.format(condition=f"({one.condition}) AND {MAY}", joined=JOINED), {"store": store_id, **one.parameters})
        for one in (query, acted, listed)
    )
    is_known = "(contacts.email IS NOT NULL OR contacts.phone IS NOT NULL)"
    cells = COLUMNS[form] | (MICROS if value and form == "google" else {})
    columns = ", ".join(f'{cell} AS "{name}"' for name, cell in cells.items())
    names = ", ".join(f'"{name}"' for name in cells)
    # The file appears once what is recorded of it is: nobody is on a list who is not recorded.
    with sink(path) as file, utc(database, store_id) as cursor:
        take_contacts(cursor, database, store_id, contacts)
        cursor.execute(f"SELECT count(*) FILTER (WHERE NOT {is_known}) {chosen[0]}", chosen[1])
        (without,) = cursor.fetchone()
        controls = 0
        if group is not None:
            controls = enter(cursor, store_id, group, f"{everybody[0]} AND {is_known}", everybody[1])
        # Of those who entered, whatever is published in between: they are on the list, and are noted as acted on.
        listing = f"SELECT profile.customer_id AS whose, {columns} {recorded[0]} AND {is_known}"
        cursor.execute(f"CREATE TEMP TABLE listed ON COMMIT DROP AS {listing}", recorded[1])
        cursor.copy_expert(f"COPY (SELECT {names} FROM listed ORDER BY 1, 2) TO STDOUT (FORMAT csv, HEADER)", file)
        n_rows = cursor.rowcount
        if group is not None:
            mark_acted(cursor, store_id, group.subject, "AND customer_id IN (SELECT whose FROM listed)")
        return Written(n_rows, without, controls)
