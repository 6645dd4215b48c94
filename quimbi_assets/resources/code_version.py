"""Which code is running, as recorded with everything it makes."""

import os
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def code_version() -> str:
    """Return the commit of the running code, or the package's version where there is no repository.

    ``QUIMBI_GIT_COMMIT`` decides where it is set, as in an image built without ``.git``.
    """
    given = os.environ.get("QUIMBI_GIT_COMMIT")
    if given:
        return given
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return metadata.version("quimbi_assets")
