"""A schema's check over many batches: every kind of failure counted, some of them shown."""

import dagster as dg
import numpy as np
import pandas as pd
import pandera.pandas as pandera

from quimbi_assets.defs.events import Rule, SchemaCheck, table

SCHEMA = pandera.DataFrameSchema(
    {
        "price": pandera.Column(float, pandera.Check.ge(0, error="price is negative")),
        "name": pandera.Column("str", nullable=False),
    }
)
KEY = dg.AssetKey(["raw", "orders"])


def result(*batches):
    check = SchemaCheck(SCHEMA)
    for prices, names in batches:
        check.look_at(pd.DataFrame({"price": prices, "name": pd.Series(names, dtype="str")}))
    return check.result(KEY, Rule("schema", "Rows follow the schema.", "mend them"))


def test_batches_without_a_fault_pass():
    outcome = result(([1.0, 2.0], ["a", "b"]), ([0.0], ["c"]))
    assert outcome.passed
    assert outcome.metadata["rows"].value == 3


def test_faults_of_all_batches_are_counted_by_rule():
    outcome = result(([-1.0, 2.0], ["a", None]), ([-3.0, -4.0], ["c", "d"]))
    assert not outcome.passed
    assert outcome.metadata["failures"].value == 4
    assert outcome.metadata["by_check"].value == {"price price is negative": 3, "name not_nullable": 1}
    cases = [record.data for record in outcome.metadata["first_cases"].records]
    assert {"column": "price", "check": "price is negative", "failure_case": -4.0} in cases


def test_of_what_is_wrong_with_text_the_log_has_no_word():
    pattern = pandera.Check.str_matches("c[0-9]+", error="is no id")
    check = SchemaCheck(pandera.DataFrameSchema({"customer_id": pandera.Column(str, pattern)}))
    check.look_at(pd.DataFrame({"customer_id": pd.Series(["c1", "ann@example.com"], dtype="str")}))
    outcome = check.result(KEY, Rule("schema", "Rows follow the schema.", "mend them"))
    (case,) = [record.data for record in outcome.metadata["first_cases"].records]
    assert case == {"column": "customer_id", "check": "is no id", "failure_case": "not shown: text"}


def test_a_frame_becomes_a_table_with_figures_as_people_read_them():
    frame = pd.DataFrame({"axis": ["a", None], "n": [3, 12_000], "share": [0.123456, np.nan], "big": [121914.83, 1.0]})
    shown = table(frame)
    assert [record.data for record in shown.records] == [
        {"axis": "a", "n": 3, "share": 0.1235, "big": 121915.0},
        {"axis": None, "n": 12_000, "share": None, "big": 1.0},
    ]
    assert [column.type for column in shown.schema.columns] == ["string", "int", "float", "float"]
