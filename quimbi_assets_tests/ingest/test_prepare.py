import json

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.canonical import canonical_tables
from quimbi_assets.ingest.files import Chunk, Table, open_table
from quimbi_assets.ingest.rows import HOLDS_NUL, stored_schema
from quimbi_assets.ingest.survey import survey
from quimbi_assets.ingest.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, SUPPORT_TICKETS
from quimbi_assets_tests.ingest.prepared import prepare_table

NOW = pd.Timestamp("2024-06-01", tz="UTC")


def prepare_orders(rows, time_zone="UTC", now=NOW, **options):
    return prepare_table(ORDERS, rows, time_zone, now, **options)


def prepare_order_items(rows, time_zone, now, known_orders):
    return prepare_table(ORDER_ITEMS, rows, time_zone, now, known_orders=known_orders)


def orders_of(**columns):
    n = len(next(iter(columns.values())))
    base = {
        "order_id": [f"o{i}" for i in range(n)],
        "customer_id": ["c"] * n,
        "order_date": ["2024-01-05"] * n,
        "total_price": ["10.00"] * n,
    }
    return pd.DataFrame(base | columns).astype("str").where(pd.DataFrame(base | columns).notna())


def items_of(**columns):
    n = len(next(iter(columns.values())))
    base = {"order_id": ["o0"] * n, "product_id": ["p"] * n, "quantity": ["1"] * n, "price": ["2.00"] * n}
    return pd.DataFrame(base | columns)


def reasons(prepared):
    return prepared.refused["reason"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("order_id", None, "order_id is missing"),
        ("order_date", None, "order_date is missing"),
        ("order_date", "yesterday", "order_date is not a date"),
        ("order_date", "2024-06-03", "order_date lies in the future"),
        ("order_date", "1970-01-01", "order_date lies before 1980"),
        ("total_price", None, "total_price is missing"),
        ("total_price", "nan", "total_price is missing"),
        ("total_price", "ten", "total_price is not a number"),
        ("total_price", "inf", "total_price is absurd"),
        ("total_price", "-inf", "total_price is negative"),
        ("total_price", "-0.01", "total_price is negative"),
        ("total_price", "99999999.99", "total_price is absurd"),
        ("discount_amount", "-1", "discount_amount is negative"),
        ("discount_amount", "some", "discount_amount is not a number"),
        ("refund_amount", "-1", "refund_amount is negative"),
        ("currency", "dollars", "currency is not a three-letter code"),
    ],
)
def test_a_bad_order_is_refused_with_its_reason_and_the_good_one_taken(column, value, reason):
    good = {"discount_amount": "1", "refund_amount": "0", "currency": "USD"}.get(column)
    good = {"order_id": "good", "order_date": "2024-06-01", "total_price": "5"}.get(column, good)
    prepared = prepare_orders(orders_of(**{column: [value, good]}), "UTC", NOW)
    assert len(prepared.accepted) == 1
    assert len(prepared.refused) == 1
    assert reasons(prepared)[0].startswith(reason)
    assert json.loads(prepared.refused["row"][0])[column] == value


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("order_id", "unknown", "no accepted order has this order_id"),
        ("order_id", None, "order_id is missing"),
        ("product_id", None, "product_id is missing"),
        ("quantity", "0", "quantity is not above 0"),
        ("quantity", "-1", "quantity is not above 0"),
        ("quantity", "x", "quantity is not a number"),
        ("price", "-1", "price is negative"),
        ("price", "1e12", "price is absurd"),
        ("line_no", "1.5", "line_no is not a whole number"),
        ("line_no", "1e30", "line_no"),
        ("refunded_at", "2030-01-01", "refunded_at lies in the future"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason_and_the_good_one_taken(column, value, reason):
    good = {"order_id": "o0", "product_id": "p", "line_no": "7", "refunded_at": "2024-01-09"}.get(column, "1")
    prepared = prepare_order_items(items_of(**{column: [value, good]}), "UTC", NOW, {"o0"})
    assert len(prepared.accepted) == 1
    assert len(prepared.refused) == 1
    assert reasons(prepared)[0].startswith(reason)


def test_canonical_form_of_accepted_orders():
    prepared = prepare_orders(orders_of(total_price=["10", "12,50"]), "Europe/Berlin", NOW)
    stored_schema(ORDERS, 1e7).validate(prepared.accepted)
    assert prepared.accepted["order_date"][0] == pd.Timestamp("2024-01-04 23:00", tz="UTC")
    assert prepared.absent_columns == ["discount_amount", "source", "status", "currency", "refund_amount"]


def test_the_schema_refuses_wrong_types_instead_of_passing_them():
    accepted = prepare_orders(orders_of(total_price=["10"]), "UTC", NOW).accepted
    with pytest.raises(pandera.errors.SchemaError):
        stored_schema(ORDERS, 1e7).validate(accepted.astype({"order_date": "datetime64[ns, UTC]"}))


def test_identical_rows_collapse_and_contradictions_keep_the_first():
    frame = orders_of(order_id=["a", "a", "b", "b", "a"], total_price=["1", "1.00", "2", "3", "4"])
    prepared = prepare_orders(frame, "UTC", NOW)
    assert prepared.accepted[["order_id", "total_price"]].to_numpy().tolist() == [["a", 1.0], ["b", 2.0]]
    assert reasons(prepared) == ["order_id occurs twice with different contents; the first was kept"] * 2
    assert prepared.notes == ["1 row repeats an earlier row exactly and was taken once"]
    assert prepared.contested.tolist() == ["b", "a"]


def test_a_refused_row_does_not_take_the_place_of_a_good_one():
    prepared = prepare_orders(orders_of(order_id=["a", "a"], total_price=["-1", "3"]), "UTC", NOW)
    assert prepared.accepted["total_price"].tolist() == [3.0]


def test_null_columns_are_absent_and_foreign_ones_named():
    frame = orders_of(total_price=["1"]).assign(discount=[None], store_id=["7"], note=["x"])
    prepared = prepare_orders(frame, "UTC", NOW)
    assert prepared.ignored_columns == ["store_id", "note"]
    assert "discount_amount" in prepared.absent_columns
    assert prepared.accepted["discount_amount"].isna().all()


@pytest.mark.parametrize("change", [lambda f: f.drop(columns="total_price"), lambda f: f.assign(total_price=None)])
def test_missing_column_names_it_what_is_there_and_what_would_do(change):
    with pytest.raises(BadInputError) as raised:
        prepare_orders(change(orders_of(order_id=["a"])), "UTC", NOW, where="orders.csv")
    for part in ("orders.csv", "no column total_price", "order_id, customer_id", "grand_total"):
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)


def test_guests_are_accepted_the_policy_decides_about_them():
    prepared = prepare_orders(orders_of(customer_id=["c", None]), "UTC", NOW)
    assert prepared.accepted["customer_id"].isna().tolist() == [False, True]


def test_line_numbers_follow_appearance():
    frame = items_of(order_id=["a", "b", "a", "a", "b"], quantity=["1", "1", "0", "1", "1"])
    prepared = prepare_order_items(frame, "UTC", NOW, {"a", "b"})
    assert prepared.accepted["line_no"].tolist() == [1, 1, 3, 2]  # a refused line keeps its number
    assert prepared.accepted["line_no"].dtype == "int64"


def test_identifiers_of_any_type_meet():
    orders = orders_of(order_id=["1001"]).assign(order_id=[1001.0], customer_id=[7.0])
    accepted = prepare_orders(orders, "UTC", NOW).accepted
    assert accepted[["order_id", "customer_id"]].to_numpy().tolist() == [["1001", "7"]]
    lines = prepare_order_items(items_of(order_id=[1001]), "UTC", NOW, accepted["order_id"])
    assert len(lines.accepted) == 1


@pytest.mark.parametrize("column", ["order_id", "customer_id"])
def test_an_id_with_a_nul_byte_is_refused(column):
    """Without it 'a\\0b' would be the id 'ab', somebody else's, and '\\0' no id at all: a guest's."""
    ids = ["ab", "a\0b", "\0", "c"]
    orders = {"order_id": list("1234"), "customer_id": list("5678"), "source": ["we\0b"] * 4} | {column: ids}
    prepared = prepare_orders(orders_of(**orders), "UTC", NOW)
    assert prepared.accepted[column].tolist() == ["ab", "c"]
    assert prepared.accepted["source"].tolist() == ["web"] * 2
    assert set(prepared.refused["reason"]) == {f"{column} {HOLDS_NUL}"}
    assert [json.loads(row)[column] for row in prepared.refused["row"]] == ["a\\u0000b", "\\u0000"]


def test_infinity_and_nul_survive_as_json():
    frame = pd.DataFrame({"order_id": ["a\0", "b"], "customer_id": ["c", "c"], "order_date": ["2024-01-05"] * 2})
    prepared = prepare_orders(frame.assign(total_price=[np.inf, 1.0]), "UTC", NOW)
    assert json.loads(prepared.refused["row"][0])["total_price"] == "inf"
    assert json.loads(prepared.refused["row"][0])["order_id"] == "a\\u0000"


def test_amount_limit_follows_the_currency():
    frame = orders_of(total_price=["25000000"], currency=["VND"])
    assert len(prepare_orders(frame, "UTC", NOW).accepted) == 1
    assert reasons(prepare_orders(frame, "UTC", NOW, currency="USD")) == ["total_price is absurd (above 10,000,000)"]


def test_broken_csv_lines_are_refused(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order_id,customer_id,order_date,total_price\na,c,2024-01-05,1\nb,c,2024-01-05,1,000.00\n")
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    prepared = prepare_orders(chunk, "UTC", NOW)
    assert prepared.accepted["order_id"].tolist() == ["a"]
    assert json.loads(prepared.refused["row"][0]) == {"line": "b,c,2024-01-05,1,000.00"}
    assert prepared.n_read == 2


def test_the_argument_is_not_changed():
    frame = orders_of(total_price=["1", "x"])
    chunk, before = Chunk(frame, ["z"]), frame.copy()
    prepare_orders(chunk, "UTC", NOW)
    pd.testing.assert_frame_equal(frame, before)
    assert chunk.broken == ["z"]


def test_tickets():
    frame = pd.DataFrame(
        {
            "Ticket ID": [1, 2, 3],
            "requester_email": ["a@x", None, "b@x"],
            "created_at": ["2024-01-05 10:00", "2024-01-05", "2024-01-05"],
            "tags": [["late", "shipping"], None, None],
            "csat": [5, 3, -1],
            "first_response_at": ["2024-01-05 09:59", "2024-01-05", "2024-01-04"],
            "resolved_at": [None, "2024-01-04", "2024-01-04"],
        }
    )
    prepared = prepare_table(SUPPORT_TICKETS, frame, "UTC", NOW)
    assert prepared.notes == ["2 tickets were answered before they were written: a clock's slip, or a day without time"]
    assert prepared.accepted["ticket_id"].tolist() == ["1", "2"]
    assert prepared.accepted["tags"][0] == "late, shipping"
    assert reasons(prepared) == ["satisfaction_score is not between 1 and 5"]


def test_large_ids_beside_a_guest_stay_apart(tmp_path):
    path = tmp_path / "orders.parquet"
    customers = [2**53 + 1 + i for i in range(40)] + [None]
    columns = orders_of(order_id=[str(i) for i in range(41)]).drop(columns="customer_id")
    pq.write_table(pa.table({**columns.to_dict("list"), "customer_id": pa.array(customers, pa.int64())}), path)
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    accepted = prepare_orders(chunk).accepted
    assert accepted["customer_id"].dropna().tolist() == [str(one) for one in customers[:-1]]


LARGE = pd.Series([2**53 + 1 + i for i in range(40)] + [None], dtype="Int64")


@pytest.mark.parametrize(
    ("spec", "column", "frame"),
    [
        (ORDERS, "customer_id", orders_of(order_id=[str(i) for i in range(41)])),
        (ORDERS, "order_id", orders_of(customer_id=["c"] * 41)),
        (ORDER_ITEMS, "product_id", pd.DataFrame({"order_id": ["o"] * 41, "quantity": 1, "price": 1})),
        (SUPPORT_TICKETS, "customer_id", pd.DataFrame({"ticket_id": range(41), "created_at": "2024-01-05"})),
        (CUSTOMERS, "zendesk_id", pd.DataFrame({"customer_id": range(41)})),
    ],
    ids=["customers of orders", "orders", "products", "customers of tickets", "list of customers"],
)
@pytest.mark.parametrize(
    "written",
    [
        lambda ids: ids.astype("float64"),
        lambda ids: ids.astype("float64").astype(object),
        lambda ids: ids.astype("float64").astype("str"),
        lambda ids: (ids * 10).astype("float64").map(str, na_action="ignore"),  # 9.007199254740994e+16
        lambda ids: (ids - 2**53 + 2**24).astype("float32"),
    ],
    ids=["float64", "object", "text", "exponents", "float32"],
)
def test_ids_that_a_float_has_rounded_are_refused(spec, column, frame, written):
    with pytest.raises(BadInputError, match=rf"^the file: {column} holds ids above 2\^53 .*(dtype string or Int64)"):
        survey(Table.of(Chunk(frame.assign(**{column: written(LARGE)}))), spec, "the file")


def test_ids_that_a_float_holds_exactly_are_read():
    ids = [12.0, 2.0**53, None]
    accepted = prepare_orders(orders_of(order_id=["a", "b", "c"], customer_id=ids)).accepted
    assert accepted["customer_id"].dropna().tolist() == ["12", "9007199254740992"]
    with pytest.raises(BadInputError, match="orders: customer_id holds ids above"):
        canonical_tables(orders_of(order_id=["a", "b", "c"]).assign(customer_id=[1.0, 2.0**60, None]))


def test_tags_of_a_helpdesk():
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3, 4],
            "customer.id": [7, 7, 8, 8],
            "created_datetime": ["2024-01-05T10:00:00.000001+00:00"] * 4,
            "closed_datetime": ["2024-01-06T10:00:00+00:00", None, None, None],
            "first_agent_message_datetime": ["2024-01-05T12:00:00+00:00", None, None, None],
            "via": ["email", "email", "chat", "chat"],
            "tags": ['[{"id": 4, "name": "late"}, {"id": 5, "name": "refund"}]', '["late", "vip"]', "['late']", "[]"],
            "satisfaction_survey.score": [5, None, 1, None],
        }
    )
    prepared = prepare_table(SUPPORT_TICKETS, frame, "UTC", NOW)
    accepted = prepared.accepted
    assert prepared.refused.empty
    assert prepared.ignored_columns == []
    assert accepted["tags"].dropna().tolist() == ["late, refund", "late, vip", "late"]
    assert accepted["satisfaction_score"].tolist()[::2] == [5.0, 1.0]
    assert accepted["channel"].tolist() == ["email", "email", "chat", "chat"]
    assert accepted["resolved_at"][0] - accepted["first_response_at"][0] == pd.Timedelta(hours=22)


def rated(scores):
    n = len(scores)
    return pd.DataFrame({"ticket_id": range(n), "email": "a@x.com", "created_at": "2024-01-05", "csat": scores})


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ([1, 0, None, 1], "0"),
        (["5", "3", "8"], "8"),
        (["4/5", "5/5", "4/5"], "4/5, 5/5"),
        (["Excellent", "Poor", None], "Excellent, Poor"),
        ([True, False, True], "True, False"),
    ],
    ids=["thumbs", "of ten", "fractions", "words", "yes and no"],
)
@pytest.mark.parametrize("n_chunks", [1, 2])
def test_ratings_on_another_scale_are_refused_as_a_whole(scores, shown, n_chunks):
    frame = rated(scores)
    chunks = [Chunk(frame)] if n_chunks == 1 else [Chunk(frame.head(1)), Chunk(frame.iloc[1:])]
    message = f"the file: csat holds {shown}, but satisfaction is read on the scale 1 to 5: rescale .* or leave it out"
    with pytest.raises(BadInputError, match=message):
        survey(Table.of(*chunks), SUPPORT_TICKETS, "the file")


def test_a_helpdesks_words_are_ratings():
    prepared = prepare_table(SUPPORT_TICKETS, rated(["Good", "bad", "Offered", "unoffered", None]), "UTC", NOW)
    assert prepared.refused.empty
    assert prepared.accepted["satisfaction_score"].fillna(0).tolist() == [5, 1, 0, 0, 0]
    prepared = prepare_table(SUPPORT_TICKETS, rated(["5", "4,5", "1", "great"]), "UTC", NOW)
    assert prepared.refused["reason"].tolist() == ["satisfaction_score is not a number"]


def test_customers_that_are_said_to_be_nobody_are_told():
    prepared = prepare_orders(orders_of(customer_id=["null", "c1", "nan", None]), "UTC", NOW)
    assert prepared.accepted["customer_id"].isna().tolist() == [True, False, True, True]
    assert prepared.notes == ["2 rows say in a word that nobody is their customer, such as null: they are guests'"]
