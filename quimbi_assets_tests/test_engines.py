"""Ctrl-C while DuckDB computes is Ctrl-C."""

import signal
import subprocess
import sys

SCRIPT = """
import threading, signal, os, time
from quimbi_assets.engines import DuckEngine
threading.Thread(target=lambda: (time.sleep(1), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
try:
    with DuckEngine(1) as duck:
        duck.arrow("SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE a.range * b.range % 7 = 3")
except KeyboardInterrupt:
    raise SystemExit(42)
"""


def test_an_interrupted_query_is_a_keyboard_interrupt():
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert done.returncode == 42, done.stderr
