"""Writes lists of customers as files, or sends them, and says what is in them.

Belongs here: ``quimbi export``. Does not: what a form is (``exports``), writing and sending (``resources``).
"""

from quimbi_assets.audiences.definitions import ExportTarget
from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.export_targets import export
from quimbi_assets.resources.postgres.database import open_database


def export_customers(store_id: str, target: ExportTarget, *, contactable: bool) -> None:
    """Write or send a list as the command asks for it; what is said of a file stands beside it, on stderr."""
    is_sent = target.form == "klaviyo"
    if not is_sent and (target.send or target.axes is not None):
        raise BadInputError(f"--send and --axes are for --format klaviyo: --format {target.form} writes a file")
    if target.send and target.out is not None:
        raise BadInputError("--send sends, --out writes what would be sent: give one of them")
    if not is_sent and target.out is None:
        raise BadInputError(f"--out is missing: name a file, or - for standard output (--format {target.form})")
    with steps(target.form) as progress:
        summary = export(open_database(), store_id, target, progress.step, contactable)
    for line in (*summary.lines, *summary.named):
        (out if is_sent and target.out is None else err).print(line, markup=False)
