"""Whether an installation that was copied into a file comes back whole, and whether the doctor sees what is ill."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from contextlib import closing, nullcontext
from functools import partial
from types import SimpleNamespace

import psycopg2
import pytest

from quimbi_assets.commands import upkeep
from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources import backup
from quimbi_assets.resources.postgres.database import EVERY_STORE, administration
from quimbi_assets.resources.postgres.run_lock import RunLock

pytestmark = pytest.mark.xdist_group("graph")

TABLES = """
    SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
    WHERE table_type = 'BASE TABLE' AND table_schema IN ('quimbi', 'public') ORDER BY 1
"""
ROWS = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {} AS t"


def elsewhere(home, *arguments, expected=0, **variables):
    """Runs the command in a process of its own on another home; gives stdout, or stderr where it is to fail."""
    environment = {**os.environ, "QUIMBI_HOME": str(home), **variables}
    command = [sys.executable, "-m", "quimbi_assets.cli", *map(str, arguments)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    return done.stderr if expected else done.stdout


def rows_of(ask):
    """Counts and digests of all tables of a database."""
    return {table: ask(ROWS.format(table))[0] for (table,) in ask(TABLES)}


def files_of(home):
    """Digests of the files that a backup is to hold; the tests that follow may change the home it was made of."""
    return {
        path.relative_to(home): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("storage", "mlartifacts", "keys")
        for path in (home / folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def saved(two_stores, database, home, tmp_path_factory):
    """A backup of two stores that were run, and the tables and files there were."""
    path = tmp_path_factory.mktemp("saved") / "all.tar"
    upkeep.backup(path, wait=False)
    return path, rows_of(partial(database.execute, EVERY_STORE)), files_of(home)


@pytest.fixture(scope="module")
def restored(saved, tmp_path_factory):
    """A home of its own, in which the backup is."""
    home = tmp_path_factory.mktemp("restored") / "home"
    assert "stores as of" in elsewhere(home, "restore", saved[0])
    yield home
    shutil.rmtree(home, ignore_errors=True)


def test_every_row_and_every_file_comes_back(saved, restored):
    _, rows, files = saved
    assert rows["quimbi.customer_profiles"][0] >= 1000
    ask = "import sys; sys.path.insert(0, '.'); from quimbi_assets_tests.commands.test_upkeep import *; "
    ask += "from quimbi_assets.resources.postgres.database import open_database; "
    ask += "print(json.dumps(rows_of(partial(open_database().execute, EVERY_STORE))))"
    environment = {**os.environ, "QUIMBI_HOME": str(restored)}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert {table: tuple(facts) for table, facts in json.loads(done.stdout).items()} == rows
    assert {"storage", "mlartifacts", "keys"} == {path.parts[0] for path in files}
    assert files_of(restored) == files


def test_what_was_restored_answers_as_before_without_the_home_it_came_from(restored, home, quimbi, database):
    ((customer,),) = database.execute(
        EVERY_STORE,
        "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = 'south' ORDER BY lifetime_value DESC "
        "LIMIT 1",
    )
    asked = ("explain", "--store-id", "south", "--customer-id", customer, "--json")
    code, before, _ = quimbi(*asked)
    assert code == 0
    away = home.rename(home.with_name("away"))  # the server keeps its open files; models are read anew
    try:
        after = elsewhere(restored, *asked)
    finally:
        away.rename(home)
    assert json.loads(after) == json.loads(before)


def test_a_backup_is_for_its_owner_alone_and_says_so(saved, quimbi):
    path = saved[0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(path.parent.glob(".*"))
    assert quimbi("backup", "--out", path)[0] == 2


def test_nothing_is_restored_over_what_is_there(saved, restored):
    assert "is not empty" in elsewhere(restored, "restore", saved[0], expected=2)


def test_a_damaged_backup_is_refused_whole(saved, tmp_path):
    with tarfile.open(saved[0]) as tar:
        place = next(one for one in tar.getmembers() if one.name.endswith(".parquet"))
    data = bytearray(saved[0].read_bytes())
    data[place.offset_data + place.size // 2] ^= 1
    (tmp_path / "bent.tar").write_bytes(data)
    assert f"damaged at {place.name}" in elsewhere(tmp_path / "bent", "restore", tmp_path / "bent.tar", expected=2)
    (tmp_path / "cut.tar").write_bytes(data[: len(data) // 2])
    assert "backup" in elsewhere(tmp_path / "cut", "restore", tmp_path / "cut.tar", expected=2)
    assert not (tmp_path / "cut" / "postgres").exists()


def _bent(saved, path, change, *more):
    """Write a backup again with its manifest, and perhaps more members, as somebody else would have them."""
    with tarfile.open(saved) as tar, tarfile.open(path, "w") as bent:
        for one in tar.getmembers():
            content = tar.extractfile(one).read()
            content = change(content) if one.name == backup.MANIFEST else content
            one.size = len(content)
            bent.addfile(one, io.BytesIO(content))
        for one, content in more:
            bent.addfile(one, io.BytesIO(content))
    return path


def test_a_hostile_backup_does_nothing_that_a_manifest_does_not_say(saved, tmp_path):
    def evil(content):
        manifest = json.loads(content)
        manifest["roles"] += ["x LOGIN SUPERUSER; CREATE TABLE public.pwned () --"]
        return json.dumps(manifest).encode()

    planted, link = tarfile.TarInfo("home/catalogue.yaml"), tarfile.TarInfo("home/storage2")
    planted.size, link.type, link.linkname = 1, tarfile.SYMTYPE, "../outside"
    bent = _bent(saved[0], tmp_path / "bent.tar", evil, (planted, b"x"), (link, b""))
    elsewhere(tmp_path / "home", "restore", bent)
    assert not (tmp_path / "home" / "catalogue.yaml").exists()
    assert not (tmp_path / "home" / "storage2").is_symlink()
    asked = "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'x'), to_regclass('public.pwned') IS NULL"
    assert "0 | t" in elsewhere(tmp_path / "home", "sql", "--command", asked)


def test_a_file_that_is_no_tar_is_refused_in_words(tmp_path):
    (tmp_path / "a.csv").write_text("order_id,customer_id\n")
    text = elsewhere(tmp_path / "home", "restore", tmp_path / "a.csv", expected=2)
    assert text.splitlines()[-1].endswith("a.csv cannot be read as a backup: it is no tar file, or damaged")


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"format": "1"}', "[" * 100_000])
def test_what_is_no_manifest_is_refused_in_a_line(saved, tmp_path, text):
    bent = _bent(saved[0], tmp_path / "bent.tar", lambda _: text.encode())
    assert "is no backup" in elsewhere(tmp_path / "home", "restore", bent, expected=2)
    assert not list((tmp_path / "home").iterdir())


def test_a_backup_leaves_nothing_of_one_that_was_killed_and_is_not_in_itself(saved, quimbi, home, tmp_path):
    (tmp_path / ".b.tar.7.partial").mkdir()
    (tmp_path / ".b.tar.7.partial" / "quimbi.dump").touch()
    (tmp_path / ".b.tar.8.partial").touch()
    assert quimbi("backup", "--out", tmp_path / "b.tar")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]
    assert quimbi("backup", "--out", home / "b.tar")[0] == 2


@pytest.mark.parametrize("when", [".restoring/home", ".restoring/begun", "postgres.lock", "postgres.users"])
def test_a_restore_that_was_killed_is_done_again(saved, tmp_path, when):
    killed = tmp_path / "killed"
    environment = {**os.environ, "QUIMBI_HOME": str(killed)}
    command = [sys.executable, "-m", "quimbi_assets.cli", "restore", str(saved[0])]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as restoring:
        deadline = time.monotonic() + 60
        while not (killed / when).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        restoring.kill()
    assert (killed / ".restoring").exists()
    if when != ".restoring/home":
        assert "has not ended: give the same command again" in elsewhere(killed, "stores", expected=2)
        assert "MEND  home" in elsewhere_with_database(killed)
    (killed / ".restoring" / "home" / "half").write_text("x")
    elsewhere(killed, "restore", saved[0])
    assert {one["store_id"] for one in json.loads(elsewhere(killed, "stores", "--json"))["stores"]} >= {
        "north",
        "south",
    }
    assert not (killed / "half").exists()
    assert not (killed / ".restoring").exists()


def test_a_server_that_has_stores_is_never_restored_over(saved, database, tmp_path):
    before = database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.orders")
    (tmp_path / "home").mkdir()
    url = administration(database, database.libpq_url)
    for _ in range(2):  # the second time as the first
        text = elsewhere(tmp_path / "home", "restore", saved[0], expected=2, DATABASE_URL=url)
        assert "has stores already" in text
    assert database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.orders") == before


def test_another_address_ends_no_restore_that_was_begun(saved, database, tmp_path):
    """What it was begun with does, then; and where no server answered, nothing was begun."""
    home, url = tmp_path / "home", administration(database, database.libpq_url)
    nowhere = "postgresql://x:y@127.0.0.1:1/db"
    elsewhere(home, "restore", saved[0], expected=1, DATABASE_URL=nowhere)
    assert "no store yet" in elsewhere(home, "stores")
    shutil.rmtree(home)
    (home / ".restoring").mkdir(parents=True)
    begun = home / ".restoring" / "begun"
    begun.write_text(f"{hashlib.sha256(saved[0].read_bytes()).hexdigest()} {hashlib.sha256(b'another').hexdigest()}")
    text = elsewhere(home, "restore", saved[0], expected=2, DATABASE_URL=url)
    assert "is ended with that address" in text
    assert begun.exists()


@pytest.mark.parametrize(
    ("more", "code", "reason"), [("", 0, ""), ("no SQL;", 0, "syntax error"), ("", 3, "cannot read")]
)
def test_a_database_comes_back_whole_or_not_at_all(database, tmp_path, monkeypatch, more, code, reason):
    """Also on a server of before version 17, which knows a setting less; a shop's own words are no settings."""
    reader = tmp_path / "pg_restore"
    reader.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncat "$last"\n[ {code} = 0 ] || echo cannot read >&2\nexit {code}\n'
    )
    reader.chmod(0o755)
    monkeypatch.setattr(backup, "binary", lambda _: reader)
    monkeypatch.setattr(backup, "UNKNOWN_BEFORE_17", b"SET unknown_here = 0;")
    (tmp_path / "a.dump").write_text(
        "SET unknown_here = 0;\nSELECT 1;\nCREATE TABLE public.came_back (said text);\n"
        f"COPY public.came_back FROM stdin;\nSET unknown_here = 0;\n\\.\n{more}\n"
    )
    url = administration(database, database.libpq_url)
    with nullcontext() if not reason else pytest.raises(DatabaseUnavailableError, match=reason):
        backup._restore_database(url, tmp_path / "a.dump")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.came_back') IS NOT NULL")
        assert cursor.fetchone()[0] is not bool(reason)
        if not reason:
            cursor.execute("SELECT said FROM public.came_back")
            assert cursor.fetchall() == [("SET unknown_here = 0;",)]
            cursor.execute("DROP TABLE public.came_back")


def test_a_server_that_is_gone_before_a_dump_is_read_is_said(tmp_path, monkeypatch):
    """More than a pipe holds, and what was to be written first still unwritten."""
    reader = tmp_path / "pg_restore"
    reader.write_text("#!/bin/sh\nsleep 0.5\nyes SET a = 0; | head -c 3000000\n")
    reader.chmod(0o755)
    monkeypatch.setattr(backup, "binary", lambda _: reader)
    with pytest.raises(DatabaseUnavailableError, match=r"the restore of a failed: .*port 1 failed"):
        backup._restore_database("host=127.0.0.1 port=1 dbname=x user=x", tmp_path / "a.dump")


def test_a_file_with_two_names_is_in_it_twice(tmp_path):
    (tmp_path / "a").write_text("hello")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    with tarfile.open(tmp_path / "t.tar", "w", dereference=True) as tar:
        sums = {name: backup._add(tar, tmp_path / name, name) for name in ("a", "b")}
    assert sums["a"] == sums["b"]


def test_nobody_is_copied_in_the_middle_of_a_run(two_stores, database, quimbi, tmp_path):
    lock = RunLock(database)
    lock.take(["south"])
    try:
        code, _, error = quimbi("backup", "--out", tmp_path / "b.tar")
    finally:
        lock.close()
    assert code == 2
    assert "store south is being run by" in error
    assert not list(tmp_path.iterdir())


def test_the_doctor_says_what_is_ill_and_what_to_do(two_stores, quimbi, monkeypatch, home):
    monkeypatch.setattr(upkeep, "FREE_DISK", 2**62)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted")
    loose = home / "loose.csv"
    loose.touch(0o644)
    loose.chmod(0o644)
    monkeypatch.setattr(upkeep, "_storage", lambda: 1 / 0)
    code, text, _ = quimbi("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(text)["findings"]}
    loose.unlink()
    assert code == 1
    assert "make room" in findings["disk"]["mend"]
    assert "can be read or written by others" in findings["files"]["line"]
    assert findings["storage"]["line"] == "cannot be looked at: division by zero"
    assert findings["database"]["is_well"]
    assert findings["MLflow"]["is_well"]
    assert "sk-planted" not in text
    code, text, _ = quimbi("doctor")
    assert "MEND  disk" in text
    assert "ok    database" in text


def test_the_doctor_says_that_all_is_well(monkeypatch, quimbi, database):
    well = upkeep.Finding("disk", "much")
    monkeypatch.setattr(upkeep, "looked_over", lambda: iter([well]))
    assert quimbi("doctor") == (0, "ok    disk      much\n", "")


@pytest.mark.parametrize(
    ("problems", "line"), [(["old: orders", ""], "1 of 2 need a look"), (["", ""], "2, none needs a look")]
)
def test_the_doctor_counts_the_stores_that_need_a_look(monkeypatch, database, problems, line):
    shops = [SimpleNamespace(store_id="s", problems=lambda ill=ill: ill, mend=lambda: "mend") for ill in problems]
    monkeypatch.setattr("quimbi_assets.resources.postgres.tables.shops.list_shops", lambda _, **__: shops)
    first = next(upkeep._stores())
    assert (first.line, first.is_well) == (line, not any(problems))


def test_the_doctor_says_where_the_rules_are_broken(home):
    path = home / "actions.yaml"
    (well,) = upkeep._rules()
    assert (well.line, well.is_well) == ("6 rules of ready.yaml", True)
    path.write_text("rules:\n  a: {when: value > 1, que: x}\n")
    try:
        (broken,) = [one for one in upkeep.looked_over() if one.what == "rules"]
    finally:
        path.unlink()
    assert broken.line.startswith(f"{path}, line 2, column 24: rule a cannot have 'que' (nearest: queue)")
    assert "tickets go where no rule says otherwise" in broken.mend


def test_a_database_that_does_not_answer_is_a_line_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:pw-planted@127.0.0.1:1/shop")
    text = elsewhere_with_database(tmp_path)
    assert "MEND  database  cannot be looked at: cannot reach the database" in text
    assert "ok    key" in text
    assert "pw-planted" not in text


def elsewhere_with_database(home):
    """What the doctor prints where there is no database to be had."""
    command = [sys.executable, "-m", "quimbi_assets.cli", "doctor"]
    environment = {**os.environ, "QUIMBI_HOME": str(home)}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stdout


def test_a_dump_that_is_too_large_for_its_file_says_so(monkeypatch):
    monkeypatch.setattr(backup, "client_command", lambda *_: (["sh", "-c", "kill -XFSZ $$"], {}))
    with pytest.raises(DatabaseUnavailableError, match=r"pg_dump failed: .* larger than files may be here"):
        backup._run("pg_dump", "", [])
