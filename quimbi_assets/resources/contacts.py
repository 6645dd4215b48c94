"""Customers' addresses for as long as a list is being made: from a file, or where the customer's id is, or was, one.

Belongs here: the temporary table ``contacts``. Does not: any table that lasts, who is written to. Two such tables hold
addresses: ``export_outbox``, in the payloads of jobs that are not done, and ``customer_addresses``.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.cells import as_text
from quimbi_assets.ingest.columns import by_name
from quimbi_assets.ingest.consent import read_consent
from quimbi_assets.ingest.files import open_table
from quimbi_assets.ingest.survey import survey
from quimbi_assets.ingest.tables import CUSTOMERS
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.matching import RowKeys, match_rows
from quimbi_assets.resources.postgres.tables.identities import known_secret, learn_customers_that_are_addresses

PHONES = ("phone", "phone_number", "mobile", "mobile_phone", "billing_phone", "default_address_phone")
TABLE = "CREATE TEMP TABLE contacts (customer_id text, email text, phone text, is_blocked boolean) ON COMMIT DROP"
ROWS = "CREATE TEMP TABLE contact_rows (row_no bigint, email text, phone text, is_blocked boolean) ON COMMIT DROP"
TAKE = """
    INSERT INTO contacts
    SELECT customer_id, (array_agg(lower(email) ORDER BY row_no) FILTER (WHERE email IS NOT NULL))[1],
        (array_agg(phone ORDER BY row_no) FILTER (WHERE phone IS NOT NULL))[1], coalesce(bool_or(is_blocked), false)
    FROM contact_rows JOIN met USING (row_no) GROUP BY customer_id
"""
BLOCKED = """
    UPDATE contact_rows SET is_blocked = true FROM {keys} AS keys JOIN quimbi.suppressed_keys AS suppressed
        ON suppressed.store_id = %(store)s AND suppressed.key_hash = keys.key_hash
    WHERE keys.row_no = contact_rows.row_no
"""
"""Rows whose address was suppressed, whoever has it."""
OF_THE_SUPPRESSED = """
    WITH suppressed AS (
        SELECT email, phone FROM contacts JOIN quimbi.customer_consent AS consent USING (customer_id)
        WHERE consent.store_id = %(store)s AND consent.suppressed
    )
    UPDATE contacts SET is_blocked = true
    WHERE email IN (SELECT email FROM suppressed) OR phone IN (SELECT phone FROM suppressed)
"""
"""Who shares an address with a suppressed customer: it is the address that must not be written to."""
KNOWN_BEFORE = """
    CREATE TEMP TABLE known_before ON COMMIT DROP AS
    SELECT kind, key_hash FROM quimbi.customer_identities WHERE store_id = %s
"""
AS_BEFORE = """
    DELETE FROM quimbi.customer_identities AS learnt WHERE store_id = %s AND NOT EXISTS (
        SELECT FROM known_before AS known WHERE known.kind = learnt.kind AND known.key_hash = learnt.key_hash)
"""
"""A list of contacts is read to write to people: the keys that find them are the store's as it was loaded, no more."""
THEMSELVES = """
    INSERT INTO contacts SELECT customer_id, coalesce(hidden.email, lower(btrim(customer_id))), NULL, false
    FROM quimbi.customer_profiles AS own LEFT JOIN quimbi.customer_addresses AS hidden USING (store_id, customer_id)
    WHERE own.store_id = %s AND (hidden.email IS NOT NULL OR customer_id LIKE '%%_@_%%')
        AND NOT EXISTS (SELECT FROM contacts WHERE contacts.customer_id = own.customer_id)
"""


def take_contacts(cursor: Any, database: Database, store_id: str, path: Path | None) -> None:
    """Make the temporary table ``contacts``: customers once each, with e-mail, phone (``+`` and digits), or neither.

    ``is_blocked``: the file says that they may not be written to. BadInputError if the file cannot be read, or none of
    its rows is a customer's.
    """
    cursor.execute(TABLE)
    if path is not None:
        _read(cursor, store_id, path, known_secret(database.home or quimbi_home(), store_id))
        cursor.execute(TAKE)
        cursor.execute(OF_THE_SUPPRESSED, {"store": store_id})
    cursor.execute(THEMSELVES, (store_id,))
    cursor.execute("CREATE INDEX ON contacts (customer_id); ANALYZE contacts")


def _read(cursor: Any, store_id: str, path: Path, secret: bytes) -> None:
    cursor.execute(ROWS)
    with open_table(path) as table:
        known = survey(table, CUSTOMERS, str(path))
        if not known.person:
            raise BadInputError(f"{path} must say whose its rows are: it has no customer_id, no email")
        keys, n_rows = RowKeys(cursor, CUSTOMERS.name, known.person, secret, store_id), 0
        emails = [name for name, kind in known.person.items() if kind == "email"]
        names = by_name(table.columns)
        phones = [names[name] for name in PHONES if name in names]
        for chunk in table.chunks(None):
            rows = chunk.frame.set_axis(pd.RangeIndex(n_rows, n_rows + len(chunk.frame)))
            n_rows += len(rows)
            texts = {
                name: as_text(rows[name], known.signs[name], are_ids=True).str.removeprefix("'")
                for name in known.person
            }
            keys.add(pd.DataFrame(texts))
            consent = read_consent(rows)
            blocked = consent["suppressed"].fillna(value=False) | ~consent["accepts_marketing"].fillna(value=True)
            first = _first([texts[name].str.strip() for name in emails], rows.index)
            contacts = pd.DataFrame(
                {
                    "row_no": rows.index,
                    "email": first.where(first.str.contains("@", regex=False).fillna(value=False).astype(bool)),
                    "phone": _international(_first([rows[name].astype("str") for name in phones], rows.index)),
                    "is_blocked": blocked,
                }
            )
            copy_frame(cursor, "contact_rows", contacts)
    cursor.execute(KNOWN_BEFORE, (store_id,))
    if "email" in known.person.values():
        learn_customers_that_are_addresses(cursor, store_id, secret)
    cursor.execute(BLOCKED.format(keys=keys.table), {"store": store_id})
    if match_rows(cursor, store_id, keys, is_list=True) is None:
        raise BadInputError(f"{path}: none of {n_rows:,} rows is a customer's (tried: {', '.join(known.person)})")
    cursor.execute(AS_BEFORE, (store_id,))


def _first(columns: list[pd.Series], index: pd.Index) -> pd.Series:
    """Return the first value of each row that is there."""
    values = pd.Series(pd.NA, index=index, dtype="str")
    for column in columns:
        values = values.fillna(column.astype("str"))
    return values


def _international(phones: pd.Series) -> pd.Series:
    """Return phone numbers with their country as ``+`` and digits (E.164), NULL where the country is not said."""
    plain = phones.str.replace(r"[^\d+]", "", regex=True).str.replace(r"^00", "+", regex=True)
    return plain.where(plain.str.fullmatch(r"\+[1-9]\d{6,14}").fillna(value=False).astype(bool))
