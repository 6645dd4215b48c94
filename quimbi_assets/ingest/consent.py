"""Who may be written to: what a list of customers says of consent and suppression.

Belongs here: the columns that say so in the exports of shops and mail services, and how their cells are read. Does not:
whose a row is (``keys``), where it is kept (``resources.postgres.tables.consent``).
"""

from collections.abc import Iterable

import pandas as pd

from quimbi_assets.ingest.columns import by_name

CONSENT = (
    "accepts_marketing", "accepts_email_marketing", "email_marketing_consent", "email_marketing_consent_state",
    "marketing_consent", "email_consent", "consent", "opt_in", "opted_in", "email_opt_in", "marketing_opt_in",
    "newsletter", "subscribed", "is_subscribed",
)  # fmt: skip
SUPPRESSION = (
    "suppressed", "is_suppressed", "email_suppressed", "suppression", "suppression_reason", "unsubscribed",
    "do_not_contact", "do_not_email", "opted_out", "email_opt_out", "bounced",
)  # fmt: skip
YES = frozenset(("yes", "y", "true", "t", "1", "1.0", "subscribed", "opted_in", "granted", "accepted", "x"))
NO = frozenset(("no", "n", "false", "f", "0", "0.0", "none", "never", "not_suppressed", "active"))


def consent_columns(columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the file's columns on consent, and those on suppression."""
    names = by_name(columns)
    return [names[name] for name in CONSENT if name in names], [names[name] for name in SUPPRESSION if name in names]


def read_consent(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``accepts_marketing`` and ``suppressed`` of each row, booleans, NULL where nothing is said.

    Doubt counts against writing: of several columns one no is a no, a word of consent that is no clear yes is one
    ("pending", "unsubscribed"), a word of suppression that is no clear no is a suppression ("hard bounce").

    >>> rows = pd.DataFrame({"Accepts Marketing": ["yes", "pending", None], "Suppressed": [None, "no", "hard bounce"]})
    >>> read_consent(rows).astype(object).where(lambda cells: cells.notna(), None).to_dict("list")
    {'accepts_marketing': [True, False, None], 'suppressed': [None, False, True]}
    """
    consent, suppression = consent_columns(frame.columns)
    accepts = pd.Series(pd.NA, index=frame.index, dtype="boolean")
    suppressed = accepts.copy()
    for name in consent:
        words, is_told = _words(frame[name])
        accepts = accepts.fillna(value=True).where(is_told, accepts) & words.isin(YES).where(is_told, accepts)
    for name in suppression:
        words, is_told = _words(frame[name])
        suppressed = (suppressed.fillna(value=False) | ~words.isin(NO)).where(is_told, suppressed)
    return pd.DataFrame({"accepts_marketing": accepts, "suppressed": suppressed})


def _words(cells: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return cells in lower case, joined by ``_``, and which of them say anything."""
    words = cells.astype("str").str.strip().str.lower().str.replace(r"[\s-]+", "_", regex=True)
    return words, (cells.notna() & (words != "")).fillna(value=False).astype(bool)
