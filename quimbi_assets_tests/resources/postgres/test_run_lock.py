"""One run of a store at a time: refused, waited for, given back by a process that was killed, known to be lost."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError, StoreBusyError
from quimbi_assets.resources.postgres import run_lock
from quimbi_assets.resources.postgres.run_lock import RunLock, one_of_places, runs_with_session, this_process
from quimbi_assets.resources.postgres.tables.promotions import Choice, choose_versions, read_promotions
from quimbi_assets_tests.administrator import administering

RUN = "1a2b3c4d-0000-4000-8000-000000000000"
HOLD = """
import sys, time
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets.resources.postgres.run_lock import RunLock
lock = RunLock(open_database(), sys.argv[1])
lock.take(sys.argv[2:])
print("held", flush=True)
time.sleep(300)
"""


@pytest.fixture
def holder(database):
    """A process that runs the stores it is given, as a Dagster run."""
    begun = []

    def hold(run_id, *stores):
        process = subprocess.Popen([sys.executable, "-c", HOLD, run_id, *stores], stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(run_lock, "POLL_SECONDS", 0.05)


def ask(database, question, *values):
    with administering(database) as cursor:
        cursor.execute(question, values)
        return cursor.fetchall()


def session_of(database, run_id):
    return ask(
        database,
        "SELECT pid, state, xact_start FROM pg_stat_activity WHERE application_name LIKE %s",
        f"quimbi {run_id[:8]} %",
    )


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_second_is_refused_in_a_line_that_names_the_first(database, holder):
    first = holder(RUN, "lock-a")
    with closing(RunLock(database)) as second, pytest.raises(StoreBusyError) as refused:
        second.take(["lock-a"])
    assert isinstance(refused.value, BadInputError)
    assert refused.match(
        rf"store lock-a is being run by process \S+:{first.pid} since [\d: -]+ UTC \(run 1a2b3c4d\); "
        "wait for it, or use --wait$"
    )


def test_stores_are_apart_and_a_closed_lock_is_given_back_at_once(database):
    for _ in range(20):
        with closing(RunLock(database)) as one, closing(RunLock(database)) as other:
            one.take(["lock-a"])
            other.take(["lock-b"])
            one.close()
            other.take(["lock-a"])
            assert other.holds_lock()


def test_a_killed_process_gives_back_what_it_held(database, holder):
    first = holder(RUN, "lock-a", "lock-b")
    assert runs_with_session(database, [RUN, "5" * 36]) == {RUN}
    said = []
    with closing(RunLock(database)) as second:
        threading.Timer(0.5, first.send_signal, [signal.SIGKILL]).start()
        second.take(["lock-b", "lock-a"], said.append)
        assert second.holds_lock()
    assert len(said) == 1
    assert said[0].startswith("waiting: store lock-a is being run by process")
    until(lambda: not runs_with_session(database, [RUN]))


def test_who_waits_is_told_of_the_next_holder_too(database):
    one, next_one = RunLock(database, RUN), RunLock(database, "5" * 36)
    one.take(["lock-a"])
    said = []

    def hand_over(message):
        said.append(message)
        if len(said) == 1:
            one.close()
            next_one.take(["lock-a"], lambda _: None)  # the server takes its time to see that a session has ended
        else:
            next_one.close()

    with closing(RunLock(database)) as third:
        third.take(["lock-a"], hand_over)
    assert ["(run 1a2b3c4d)" in said[0], "(run 55555555)" in said[1], len(said)] == [True, True, 2]


def test_a_lost_connection_is_noticed_and_not_mended(database):
    with closing(RunLock(database, RUN)) as lock:
        lock.take(["lock-a"])
        assert lock.holds_lock()
        ((pid, *_),) = session_of(database, RUN)
        ask(database, "SELECT pg_terminate_backend(%s)", pid)
        until(lambda: not session_of(database, RUN))
        assert not lock.holds_lock()
        with closing(RunLock(database)) as other:
            other.take(["lock-a"])
        assert not lock.holds_lock()


def test_a_run_that_lost_its_store_writes_nothing_any_more(database):
    choice = Choice("1", pd.Timestamp("2024-06-01"), "first model")
    with closing(RunLock(database, RUN)) as lock:
        lock.take(["lock-a"])
        guarded = lock.guarded(database)
        choose_versions(guarded, "lock-a", {"held": choice})
        ((pid, *_),) = session_of(database, RUN)
        ask(database, "SELECT pg_terminate_backend(%s)", pid)
        until(lambda: not session_of(database, RUN))
        with pytest.raises(StoreBusyError, match="store lock-a: the database ended this run's session"):
            choose_versions(guarded, "lock-a", {"lost": choice})
    assert read_promotions(database, "lock-a").chosen() == {"held": "1"}


def test_the_session_is_idle_and_holds_no_transaction_open(database):
    with closing(RunLock(database, RUN)) as lock:
        lock.take(["lock-a"])
        assert [row[1:] for row in session_of(database, RUN)] == [("idle", None)]


def test_a_session_is_known_as_the_run_it_serves_now(database):
    with closing(RunLock(database, RUN)) as lock:
        lock.take(["lock-a"])
        lock.serve("5" * 36)
        assert runs_with_session(database, [RUN, "5" * 36]) == {"5" * 36}
        ((name,),) = ask(
            database, "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'quimbi 5%%'"
        )
        assert name.endswith(f" {this_process()}")


def test_a_long_name_of_a_host_does_not_hide_the_process(database, monkeypatch):
    monkeypatch.setattr(run_lock.socket, "gethostname", lambda: "worker-" + "x" * 60)
    with closing(RunLock(database, RUN)) as lock:
        lock.take(["lock-a"])
        with closing(RunLock(database)) as second, pytest.raises(StoreBusyError, match=f":{run_lock.os.getpid()} "):
            second.take(["lock-a"])


def test_a_few_places_are_shared_and_who_waits_says_so_once(database):
    said, entered = [], threading.Event()

    def third():
        with one_of_places(database, "tests", 2, said.append):
            entered.set()

    thread = threading.Thread(target=third)
    with one_of_places(database, "tests", 2, said.append):
        with one_of_places(database, "tests", 2, said.append):
            assert said == []
            thread.start()
            until(lambda: said)
            assert not entered.wait(0.3)
        assert entered.wait(20)
    thread.join()
    assert said == ["waiting: 2 other runs have the places for tests; goes on when one is done"]
