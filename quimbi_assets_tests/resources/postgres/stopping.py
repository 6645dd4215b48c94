"""Ends an embedded server whoever uses it, which the project itself never does."""

import os

from quimbi_assets.resources.postgres.server import embedded


def stop_server(home):
    """Stop `home`'s server, wait until it has ended, and drop this process's claim."""
    if not home.exists():
        return
    with embedded._exclusive(home):
        _, users = embedded._claims.pop((os.getpid(), home), ("", None))
        if users is not None:
            users.close()
        embedded._stop(home)
