"""Cells that a spreadsheet takes for text.

Belongs here: what is done to values on their way into a CSV file. Does not: which columns there are.
"""

import pyarrow as pa
import pyarrow.compute as pc

FORMULA = r"\A(\s*[=+\-@＝＋－＠]|[\t\r])"
"""How a text begins that a spreadsheet would compute: a customer named ``=HYPERLINK(...)`` must stay a name."""
INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def spreadsheet_cells(rows: pa.Table) -> pa.Table:
    """Return rows with texts that none computes, an apostrophe before those that one would, and instants in ISO 8601.

    Numbers stay as they are: -12.5 is no formula. Fractions of a second are left out.

    >>> spreadsheet_cells(pa.table({"id": ["=1+1", "a-b"], "n": [-12.5, 0.0]})).to_pydict()
    {'id': ["'=1+1", 'a-b'], 'n': [-12.5, 0.0]}
    """
    return pa.table({name: _cell(rows[name]) for name in rows.column_names})


def _cell(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(values.type):
        return pc.strftime(values.cast(pa.timestamp("s", "UTC"), safe=False), INSTANT)
    if not pa.types.is_string(values.type):
        return values
    # One call without scalars, for which pyarrow would import pandas.
    return pc.replace_substring_regex(values, FORMULA, r"'\1")
