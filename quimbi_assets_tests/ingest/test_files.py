import gzip
import io
import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import files
from quimbi_assets.ingest.cells import as_text
from quimbi_assets.ingest.files import open_table


def read(path):
    """The only chunk of a small file."""
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert list(chunk.frame.columns) == table.columns
    return chunk


def read_table(path):
    return read(path).frame


def test_csv_is_text_with_nulls(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text('order_id,total\n007,1.50\n,"a, b"\nNULL,nan\n')
    frame = read_table(path)
    assert frame["order_id"].tolist()[0] == "007"
    assert frame["order_id"].isna().tolist() == [False, True, True]
    assert frame["total"].tolist()[:2] == ["1.50", "a, b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_delimiters_and_encodings(tmp_path, delimiter, encoding):
    path = tmp_path / "orders.csv"
    path.write_bytes(delimiter.join(["id", "name"]).encode(encoding) + b"")
    path.write_bytes(f"id{delimiter}name\r\n1{delimiter}Müller\r\n".encode(encoding))
    frame = read_table(path)
    assert frame.to_dict("list") == {"id": ["1"], "name": ["Müller"]}


def test_gzip_whatever_the_name(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(gzip.compress(b"id\n1\n"))
    assert read_table(path)["id"].tolist() == ["1"]


def test_parquet_keeps_types(tmp_path):
    path = tmp_path / "orders.dat"
    frame = pd.DataFrame({"id": [1, 2], "at": pd.to_datetime(["2024-01-01", None])})
    frame.to_parquet(path)
    assert read_table(path).dtypes.to_dict() == frame.dtypes.to_dict()


def test_line_breaks_within_quotes(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(f'id,note\n1,"two\nlines"\n2,5" pipe\n3,"web" shop\n4,{"x" * 200_000}\n')
    assert read_table(path)["note"].str[:10].tolist() == ["two\nlines", '5" pipe', "web shop", "x" * 10]


def test_lines_that_end_as_on_old_macs(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(b'id,note\r1,a\r2,"b"\r')
    assert read_table(path).to_dict("list") == {"id": ["1", "2"], "note": ["a", "b"]}


def test_broken_lines_are_kept_aside(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id,name\n1,a\n2,b,too many\n3,c\n")
    chunk = read(path)
    assert chunk.frame["id"].tolist() == ["1", "3"]
    assert chunk.broken == ["2,b,too many"]


def test_repeated_and_nameless_columns_stay_apart(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id,id,\n1,2,3\n")
    assert list(read_table(path).columns) == ["id", "id.2", "column 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"id,total\n", "has no rows"),
        (b"PAR1 but not really", "as Parquet"),
        (b"\x1f\x8bbroken", "gzip"),
        (b'id,note\n1,"a ""b"""\n2,"open\n3,c\n', "a quote in line 3 is not closed"),
        (b'id,note\n1,"5" pipe"\n2,"open\n3,"c\n4,d\n', "a quote in line 3 is not closed"),
        (b'id,note\n1,"5" pipe","open\n2,b,c\n3,d,"e"\n4,f,g\n', "a quote in line 2 is not closed"),
        (b'id,note\n1,a\n2,"y z', "a quote in line 3 is not closed"),
        (b"id,note\n1,a\n" * 1_000 + b"2,b\0\n", "it holds a NUL byte"),
        (b"id,note\n1,a\0b\n", "it holds a NUL byte"),
        (b"PK\x03\x04\x14\0\x06\0", "an Excel workbook"),
        (b"\x89PNG\r\n\x00\x00\x00", "neither CSV nor Parquet"),
    ],
)
def test_unusable_file_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "orders.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match=message) as raised:
        read_table(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_name_that_promises_gzip_is_bad_input(tmp_path):
    path = tmp_path / "orders.csv.gz"
    path.write_text("id,total\n1,2\n")
    with pytest.raises(BadInputError, match=r"orders.csv.gz as CSV"):
        read_table(path)


def test_directory_is_bad_input(tmp_path):
    with pytest.raises(BadInputError, match="cannot read"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", ["pipe", "pipe.json"])
def test_a_fifo_is_not_waited_for(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(BadInputError, match="not a regular file"):
        read_table(path)


IDS = {pa.int64(): st.integers(-(2**63), 2**63 - 1), pa.uint64(): st.integers(0, 2**64 - 1)}


@pytest.mark.parametrize("kind", IDS, ids=str)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_whole_numbers_are_exact_beside_a_null(tmp_path_factory, kind, data):
    ids = data.draw(st.lists(st.none() | IDS[kind], min_size=1))
    path = tmp_path_factory.mktemp("ids") / "orders.parquet"
    pq.write_table(pa.table({"id": pa.array(ids, kind)}), path)
    assert as_text(read_table(path)["id"]).astype(object).where(lambda v: v.notna(), None).tolist() == [
        None if one is None else str(one) for one in ids
    ]


def test_structs_are_columns_of_their_own(tmp_path):
    path = tmp_path / "tickets.parquet"
    customer = pa.array([{"id": 7, "email": "a@x"}, {"id": None, "email": "b@x"}])
    pq.write_table(pa.table({"id": [1, 2], "customer": customer}), path)
    with open_table(path) as table:
        assert table.columns == ["id", "customer.id", "customer.email"]
        (chunk,) = table.chunks(["customer.email"])
    assert chunk.frame["customer.email"].tolist() == ["a@x", "b@x"]


def test_an_index_of_pandas_is_no_column(tmp_path):
    path = tmp_path / "orders.parquet"
    pd.DataFrame({"id": [1, 2]}, index=[5, 3]).to_parquet(path)
    assert list(read_table(path).columns) == ["id"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "gz"])
def test_chunks_are_the_file(tmp_path, monkeypatch, kind):
    frame = pd.DataFrame({"id": [str(i) for i in range(1000)], "name": "x", "n": "1"})
    path = tmp_path / "orders"
    if kind == "parquet":
        frame.astype({"name": "category"}).to_parquet(path, row_group_size=7)  # Arrow puts these not together
    else:
        text = io.BytesIO()
        frame.to_csv(text, index=False)
        path.write_bytes(gzip.compress(text.getvalue()) if kind == "gz" else text.getvalue())
    monkeypatch.setattr(files, "CHUNK_ROWS", 100)
    monkeypatch.setattr(files, "CHUNK_BYTES", 800)
    with open_table(path) as table:
        chunks, again = [[c.frame for c in table.chunks(wanted)] for wanted in (None, ["n", "id"])]
        pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True).astype({"name": "str"}), frame)
        pd.testing.assert_frame_equal(pd.concat(again, ignore_index=True)[["id", "n"]], frame[["id", "n"]])
        assert {len(chunk) for chunk in chunks[:-1]} <= set(range(50, 121))
        assert 10 <= len(chunks) <= 20


def test_a_pattern_is_several_files_put_together_by_column(tmp_path):
    for kind in ("csv", "parquet"):
        pd.DataFrame({"order_id": ["1"], "note": ["é"]}).to_csv(tmp_path / "a.csv", index=False)
        pd.DataFrame({"total": [2.5], "order_id": ["2"]}).to_csv(tmp_path / "b.csv", index=False)
        pd.DataFrame({"order_id": ["1"], "note": ["é"]}).to_parquet(tmp_path / "a.parquet")
        pd.DataFrame({"total": [2.5], "order_id": ["2"]}).to_parquet(tmp_path / "b.parquet")
        with open_table(tmp_path / f"*.{kind}") as table:
            (chunk,) = table.chunks(None)
        assert set(table.columns) == {"order_id", "note", "total"}
        assert chunk.frame.sort_values("order_id")["order_id"].tolist() == ["1", "2"]
        assert chunk.frame["total"].notna().sum() == 1


@pytest.mark.parametrize("name", ["tickets", "conversations", "data"])
def test_an_answer_of_a_service_is_the_records_that_it_lists(tmp_path, name):
    """Beside the list stand pages, counts and other lists; a list within a record is a cell of text."""
    tickets = [{"id": n, "customer": {"email": f"{n}@x.org"}, "tags": [{"name": "late"}]} for n in (7, 8)]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({name: tickets, "users": [{"id": 1}], "count": 2, "next_page": None}))
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert list(chunk.frame.columns) == ["id", "customer.email", "tags"]
    assert chunk.frame["tags"].to_list() == ['[{"name":"late"}]'] * 2
    assert chunk.frame["id"].to_list() == [7, 8]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_is_read_with_a_mark_before_it(tmp_path, encoding):
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"tickets": [{"id": 7, "subject": "größe"}]}, ensure_ascii=False), encoding)
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert chunk.frame.to_dict("list") == {"id": [7], "subject": ["größe"]}


@pytest.mark.parametrize("text", ["{}", "[{}]", '{"a": {}}'])
def test_json_without_any_field_is_text(tmp_path, text):
    path = tmp_path / "empty.json"
    path.write_text(text)
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert chunk.frame.map(lambda cell: isinstance(cell, str) or pd.isna(cell)).all(axis=None)


def test_ids_that_are_numbers_and_texts_are_text(tmp_path):
    """Alike wherever they stand; what is within a text stays."""
    ids = [9007199254740993, "9007199254740994", 'a"1"']
    rows = [{"id": one, "customer": {"id": one, "plan": {"n": one}}} for one in ids]
    path = tmp_path / "answer.json"
    for answer in ({"tickets": [*rows, {"id": "x", "customer": None}]}, [*rows, {"id": "x"}]):
        path.write_text(json.dumps(answer))
        with open_table(path) as table:
            (chunk,) = table.chunks(None)
        assert chunk.frame["id"].to_list() == [*map(str, ids), "x"]
        for name in ("customer.id", "customer.plan.n"):
            assert chunk.frame[name].to_list()[:3] == [*map(str, ids)]
            assert pd.isna(chunk.frame[name].iloc[3])


def test_an_empty_object_is_nothing(tmp_path):
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([{"id": 1, "conversation_rating": {}}, {"id": 2, "conversation_rating": {}}]))
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert chunk.frame["conversation_rating"].isna().all()


def test_an_answer_s_users_say_who_asked(tmp_path):
    """Tickets stay in their order; a user without an address, or one who is not listed, has none."""
    asked = {7: 2, 8: 1, 9: 3, 10: 4, 11: 2, 12: None}
    tickets = [{"id": n, "requester_id": who} for n, who in asked.items()]
    users = [{"id": 1, "email": "a@x.org", "name": "A"}, {"id": 2, "email": "b@x.org"}, {"id": 3, "email": None}]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"tickets": tickets, "users": [*users, users[0]], "count": 6}))
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert list(chunk.frame.columns) == ["id", "requester_id", "requester_email"]
    assert chunk.frame["id"].to_list() == list(asked)
    assert chunk.frame["requester_email"].fillna("-").to_list() == ["b@x.org", "a@x.org", "-", "-", "b@x.org", "-"]


def test_json_has_a_column_for_each_field_within_a_field(tmp_path):
    path = tmp_path / "orders.json"
    orders = [{"id": 1, "total_price": "9.50", "customer": {"id": 7, "email": "a@x.com"}}, {"id": 2, "customer": None}]
    path.write_text(json.dumps(orders))
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert {"id", "total_price", "customer.id", "customer.email"} <= set(table.columns)
    assert chunk.frame["customer.id"].tolist()[0] == 7


def test_a_pattern_that_means_nothing_to_be_read(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "a.parquet").write_text("x")
    for pattern, word in (("*.txt", "no such file"), ("a.*", "several kinds"), ("*.parquet", "cannot read")):
        with pytest.raises(BadInputError, match=word), open_table(tmp_path / pattern):
            pass


def test_space_after_a_closing_quote_is_no_open_quote(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b'id,note\n1,"two\nlines" \n2,"say ""so""\n"\t\n3,z\n')
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    assert as_text(chunk.frame["note"]).tolist() == ["two\nlines", 'say "so"', "z"]


def test_bytes_that_are_no_utf8_stay_apart(tmp_path):
    cells = [b"\xff", b"\xfe", b"\xed\xa0\x80", "ünï".encode()]
    texts = pa.Array.from_buffers(pa.string(), 4, pa.array(cells, pa.binary()).buffers())
    pq.write_table(pa.table({"id": texts}), tmp_path / "orders.parquet")
    assert read_table(tmp_path / "orders.parquet")["id"].tolist() == ["\\xff", "\\xfe", "\\xed\\xa0\\x80", "ünï"]


@pytest.mark.parametrize(
    ("kind", "odd"),
    [(pa.date32(), 2**30), (pa.date64(), 2**50), (pa.timestamp("s"), 2**45), (pa.timestamp("us", "UTC"), 2**60)],
)
def test_dates_beyond_the_calendar_are_text_and_others_as_they_are(tmp_path, kind, odd):
    days = {"date32[day]": 20_000, "timestamp[s]": 20_000 * 86_400}.get(str(kind), 20_000 * 86_400_000)
    days *= 1_000 if "us" in str(kind) else 1
    numbers = pa.array([odd, days, None], pa.int32() if pa.types.is_date32(kind) else pa.int64())
    pq.write_table(pa.table({"at": numbers.cast(kind)}), tmp_path / "orders.parquet")
    first, second, third = read_table(tmp_path / "orders.parquet")["at"].tolist()
    assert "beyond the calendar" in first
    assert second.startswith("2024-10-04")
    assert pd.isna(third)


@pytest.mark.parametrize("kind", ["gzip", "parquet"])
def test_a_file_that_swells_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(files, "LET_BE", 1 << 20)
    monkeypatch.setattr(files, "BATCH_ROWS", 64)
    path = tmp_path / f"orders.{kind}"
    if kind == "gzip":
        with gzip.open(path, "wb") as packed:
            packed.write(b"id,note\n" + b"1,x\n" * 2_000_000)
    else:
        pq.write_table(pa.table({"id": range(2_000), "note": ["x" * 10_000] * 2_000}), path)
    with pytest.raises(BadInputError, match=r"unpack to more than"):
        read_table(path)


def test_a_file_of_too_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_ROWS", 2)
    pq.write_table(pa.table({"id": [1, 2, 3]}), tmp_path / "orders.parquet")
    with pytest.raises(BadInputError, match=r"more than 2 rows; load it in parts"):
        read_table(tmp_path / "orders.parquet")
    with pytest.raises(BadInputError, match=r"more than 2 rows; load it in parts"):
        read_table(tmp_path / "*.parquet")


@pytest.mark.parametrize("name", ["gb_{}.csv.gz", "gb_{}.json.gz", "gb_{}.parquet"])
def test_files_of_a_pattern_swell_no_more_than_one_may(tmp_path, monkeypatch, name):
    """Each by itself is let be; together they are too much for so few bytes."""
    monkeypatch.setattr(files, "LET_BE", 1 << 20)
    monkeypatch.setattr(files, "BATCH_ROWS", 2_048)
    for number in range(3):
        path = tmp_path / name.format(number)
        if path.suffix == ".parquet":
            pq.write_table(pa.table({"id": range(8_192), "note": ["x" * 80] * 8_192}), path)
        else:
            head, row = (b"id,note\n", b"1,x\n") if ".csv" in name else (b"", b'{"id":1}\n')
            path.write_bytes(gzip.compress(head + row * (700_000 // len(row))))
        assert len(read_table(path)) > 8_000
    monkeypatch.setattr(files, "MOST_RATIO", 5)
    with pytest.raises(BadInputError, match=r"unpack to more than"):
        read_table(tmp_path / name.format("*"))


def test_what_is_no_pattern_is_a_file(tmp_path):
    """Signs of patterns in a file's own name, alone or among others, are no sign of anything."""
    for name, text in (("o[1].csv", "id\n1\n"), ("o1.csv", "id\n2\n"), ("o[2].json", '{"id": 3}')):
        (tmp_path / name).write_text(text)
    assert read_table(tmp_path / "o[1].csv")["id"].tolist() == ["1"]
    assert read_table(tmp_path / "o[2].json")["id"].tolist() == [3]
    assert sorted(read_table(tmp_path / "*.csv")["id"]) == ["1", "2"]


@pytest.mark.parametrize("bad", [b"a,b\n1,2\n1,2,3\n", b"a,b\n1,2\n1,2\n3,4\n1\n5,6\n", b"a,b\n1,\xe9\n"])
@pytest.mark.parametrize("name", ["bad.csv", "bad.csv.gz"])
def test_which_file_of_a_pattern_is_broken_is_said(tmp_path, bad, name):
    """And none of its rows is lost: DuckDB finds a dialect in which such a file has other columns, or one row."""
    (tmp_path / "good.csv").write_text("a,b\n1,2\n")
    (tmp_path / name).write_bytes(gzip.compress(bad) if name.endswith("gz") else bad)
    with pytest.raises(BadInputError) as raised:
        read_table(tmp_path / "*.csv*")
    assert f"{tmp_path / name}; mend it, or load it by itself" in str(raised.value)
    assert "quimbi-load-" not in str(raised.value)


def test_files_of_a_pattern_may_have_each_its_delimiter(tmp_path):
    for name, text in (("a.csv", "a,b\n1,2\n"), ("b.csv", "b;a\n4;3\n")):
        (tmp_path / name).write_text(text)
    assert sorted(read_table(tmp_path / "*.csv").to_dict("list").items()) == [("a", ["1", "3"]), ("b", ["2", "4"])]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "+99:99"])
def test_a_time_zone_that_nobody_knows_is_bad_input(tmp_path, zone):
    at = pa.array([0], pa.timestamp("us", zone))
    pq.write_table(pa.table({"id": ["1"], "order_date": at}), tmp_path / "orders.parquet")
    with pytest.raises(BadInputError, match=r"orders.parquet as Parquet: order_date is in a time zone .* in UTC"):
        read_table(tmp_path / "orders.parquet")


def test_words_that_say_nothing_are_null_and_counted(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text('id,name\n1,null\n2,\n3,"NA"\n4,Nan\n')
    chunk = read(path)
    assert chunk.frame["name"].isna().tolist() == [True, True, True, False]
    assert chunk.words == {"name": 2}


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.date32(), pa.date64()]
)
def test_dates_of_every_unit_are_dates(kind):
    at = pa.array([pd.Timestamp("2024-05-01").to_pydatetime(), None]).cast(kind)
    (first, second) = pd.to_datetime(files.as_frame(pa.table({"at": at}))["at"])
    assert first == pd.Timestamp("2024-05-01")
    assert pd.isna(second)
