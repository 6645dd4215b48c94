"""What runs do, line by line as JSON, for programs that gather logs: ``$QUIMBI_HOME/logs/runs-2026-11.jsonl``.

Belongs here: which of a run's messages are written down, and how. Does not: the record that Dagster's pages show.

A line is one message of one run, whoever began it: ``at`` (ISO 8601, UTC), ``level``, ``store`` (null: of all stores),
``run``, ``job``, ``step``, ``event`` (Dagster's name of it, null: said by an asset), ``seconds`` (of a step that ended
well), ``message``. No line holds a row of a store.
"""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from quimbi_assets.resources.home import directory, quimbi_home

EVENTS = {
    *("PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED"),
    *("STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY"),
}
"""Of Dagster's own messages; of others those from ``INFO`` on."""
STORE_TAGS = ("quimbi/store", "dagster/partition/store", "dagster/partition")
MONTHS = 12
"""As many files are kept."""


class RunLog(logging.Handler):
    """Writes down what a run's log is told; ``dagster.yaml`` has Dagster make one in each process of a run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line if the message is of those that are kept; one write, so that processes do not mix theirs."""
        try:
            line = line_of(record)
            if line is not None:
                now = datetime.now(UTC)
                text = json.dumps({"at": now.isoformat(timespec="milliseconds")} | line, ensure_ascii=False)
                _append(_file(quimbi_home(), f"{now:%Y-%m}"), text.encode(errors="replace") + b"\n")
        except Exception:  # as all handlers do: what cannot be written down must not end a run
            self.handleError(record)


def line_of(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return what a message of a run comes to; None if it is not kept."""
    about: Mapping[str, Any] = getattr(record, "dagster_meta", {})
    event = about.get("dagster_event")
    is_kept = record.levelno >= logging.INFO if event is None else event.event_type_value in EVENTS
    if not is_kept:
        return None
    tags = about.get("job_tags") or {}
    facts = event and event.event_specific_data
    error = getattr(facts, "error", None)
    took = getattr(facts, "duration_ms", None)
    message = about.get("orig_message") or record.getMessage()
    return {
        "level": record.levelname if event is None else "ERROR" if error else "INFO",
        "store": next((tags[tag].split("|")[0] for tag in STORE_TAGS if tag in tags), None),
        "run": about.get("run_id"),
        "job": about.get("job_name"),
        "step": about.get("step_key"),
        "event": event and event.event_type_value,
        "seconds": None if took is None else round(took / 1000, 3),
        "message": message if error is None else f"{message} {error.message.splitlines()[0]}",
    }


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


@cache
def _file(home: Path, month: str) -> Path:
    """Return a month's file, once those too old are gone."""
    folder = directory(home / "logs")
    for old in sorted(folder.glob("runs-*.jsonl"))[:-MONTHS]:
        old.unlink(missing_ok=True)
    return folder / f"runs-{month}.jsonl"
