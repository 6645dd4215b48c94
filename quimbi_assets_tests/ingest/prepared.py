"""A table in memory, sorted into accepted and refused rows as a file of one chunk is."""

from types import SimpleNamespace

import pandas as pd

from quimbi_assets.ingest.files import Chunk, Table
from quimbi_assets.ingest.keys import IdSet, hashed
from quimbi_assets.ingest.prepare import Preparation
from quimbi_assets.ingest.survey import survey


def prepare_table(spec, rows, time_zone, now, currency=None, known_orders=(), where="the file"):
    chunk = rows if isinstance(rows, Chunk) else Chunk(rows)
    found = survey(Table.of(chunk), spec, where)
    known = IdSet.of([hashed(pd.Series(list(known_orders), dtype="str"))])
    preparation = Preparation(found, time_zone, now, currency or found.currency, known)
    prepared = preparation.prepare(chunk)
    return SimpleNamespace(
        accepted=prepared.accepted.reset_index(drop=True),
        refused=prepared.refused,
        contested=prepared.contested,
        ignored_columns=found.ignored,
        absent_columns=preparation.absent_columns,
        notes=preparation.notes,
        n_read=preparation.n_read,
    )
