"""The view with one column an axis: names of today, and an axis more without a change of the schema."""

import json

import pandas as pd
import pyarrow as pa

from quimbi_assets.axes import AXES
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.migrations import WIDE_COLUMNS
from quimbi_assets.resources.postgres.tables.naming import write_rename
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

VIEW = "SELECT * FROM quimbi.customer_segments_wide WHERE store_id = %s ORDER BY customer_id"


def test_one_column_an_axis_with_the_name_of_today(database):
    low = json.dumps({"a": "low", "b": "ok"})
    groups = {"lifecycle": pa.array(["lost", "new", "new"]), "n_orders": pa.array([2, 1, 1])}
    publish(database, "wide")
    write_rename(database, "wide", "a", "a_1", "old_friends")
    publish(database, "wide", evidence=pa.array([low, low, "{}"]), **groups)
    rows = database.query(EVERY_STORE, VIEW, ("wide",))
    assert list(rows.columns[: len(WIDE_COLUMNS)]) == list(WIDE_COLUMNS)
    assert set(AXES) | {"a", "b"} <= set(rows.columns[len(WIDE_COLUMNS) :])  # the made-up store's axes, too
    # Of who bought once no name is said that one order says nothing of.
    assert [name if isinstance(name, str) else None for name in rows["a"]] == ["old_friends", None, "old_friends"]
    assert rows["b"].tolist() == ["few"] * 3
    assert rows["purchase_value"].isna().all()  # an axis that this store does not have
    assert rows["lifecycle"].tolist() == ["lost", "new", "new"]
    assert rows["archetype"].tolist() == ["all customers"] * 3
    assert rows["as_of"].tolist() == [pd.Timestamp("2024-06-01 12:00", tz="UTC")] * 3


def test_columns_of_axes_say_their_question_in_databases_made_before_too(database):
    said = "SELECT col_description('quimbi.customer_segments_wide'::regclass, attnum) FROM pg_attribute "
    said += "WHERE attrelid = 'quimbi.customer_segments_wide'::regclass AND attname = 'purchase_frequency'"
    administer(database, "COMMENT ON COLUMN quimbi.customer_segments_wide.purchase_frequency IS 'as it was'")
    publish(database, "wide-again")
    ((comment,),) = administer(database, said)
    assert comment.startswith(AXES["purchase_frequency"].question)
    assert "one order (n_orders = 1) says nothing of it" in comment
