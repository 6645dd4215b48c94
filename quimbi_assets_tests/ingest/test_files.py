import gzip

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.files import BROKEN, read_table


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
    path.write_text('id,note\n1,"two\nlines"\n2,x\n')
    assert read_table(path)["note"].tolist() == ["two\nlines", "x"]


def test_broken_lines_are_kept_aside(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id,name\n1,a\n2,b,too many\n3,c\n")
    frame = read_table(path)
    assert frame["id"].tolist() == ["1", "3"]
    assert frame.attrs[BROKEN] == ["2,b,too many"]


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


def test_directory_is_bad_input(tmp_path):
    with pytest.raises(BadInputError, match="cannot read"):
        read_table(tmp_path)
