"""Whether the lines that runs leave can be gathered: each whole, with store and run, none of what is not theirs."""

import json
import logging
import multiprocessing
from datetime import UTC, datetime

import dagster as dg
import pytest

from quimbi_assets.resources import run_log

KEYS = ["at", "level", "store", "run", "job", "step", "event", "seconds", "message"]


def lines(home):
    paths = sorted((home / "logs").glob("runs-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.xdist_group("graph")
def test_a_run_leaves_lines_of_its_store(two_stores, home):
    written = lines(home)
    assert all(list(line) == KEYS and line["run"] and datetime.fromisoformat(line["at"]).tzinfo for line in written)
    for store in ("north", "south"):
        of_store = [line for line in written if line["store"] == store]
        assert {"PIPELINE_START", "STEP_SUCCESS", "PIPELINE_SUCCESS"} <= {line["event"] for line in of_store}
        assert any(line["step"] == "models" and line["seconds"] > 0 for line in of_store)
        assert not {line["run"] for line in of_store} & {line["run"] for line in written if line["store"] != store}


def test_what_failed_says_why_and_what_assets_say_is_there(monkeypatch, tmp_path):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))

    @dg.asset
    def noisy(context):
        context.log.debug("not kept")
        context.log.info("kept: ünï")
        raise dg.Failure("the shop is closed")

    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(instance, "get_handlers", lambda: [run_log.RunLog()])
        done = dg.materialize([noisy], instance=instance, raise_on_error=False, tags={"quimbi/store": "s|2026-01-05"})
    written = lines(tmp_path)
    assert [line["message"] for line in written if line["event"] is None] == ["kept: ünï"]
    failed = next(line for line in written if line["event"] == "STEP_FAILURE")
    assert (failed["level"], failed["store"], failed["run"]) == ("ERROR", "s", done.run_id)
    assert failed["message"].endswith("the shop is closed")


def _write(home, word):
    handler = run_log.RunLog()
    for _ in range(200):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, word * 3000, (), None))


def test_processes_do_not_mix_their_lines(monkeypatch, tmp_path):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(tmp_path, word)) for word in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    messages = sorted(line["message"] for line in lines(tmp_path))
    assert messages == sorted([word * 3000 for word in "abc" for _ in range(200)])


def test_twelve_months_are_kept_and_nobody_else_reads_them(monkeypatch, tmp_path):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))
    run_log._file.cache_clear()
    (tmp_path / "logs").mkdir()
    for month in range(1, 15):
        (tmp_path / "logs" / f"runs-20{10 + month}-01.jsonl").touch()
    (tmp_path / "logs" / "dagster.log").touch()
    run_log.RunLog().emit(logging.LogRecord("x", logging.INFO, "", 0, "hello", (), None))
    assert len(list((tmp_path / "logs").glob("runs-*"))) == run_log.MONTHS + 1
    newest = tmp_path / "logs" / f"runs-{datetime.now(UTC):%Y-%m}.jsonl"
    assert newest.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "logs" / "dagster.log").exists()
