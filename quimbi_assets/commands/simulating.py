"""Writes a simulated store to files.

Belongs here: ``quimbi simulate``. Does not: the simulation (``simulation``).
"""

from pathlib import Path

from quimbi_assets.commands.console import out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.home import directory


def simulate_files(
    n_customers: int, out_dir: Path, seed: int, slow_down_share: float = 0.0, slow_down_from: str | None = None
) -> None:
    """Simulate a store into ``out_dir``.

    Raises
    ------
    BadInputError
        If the folder cannot be written or the slow-down cannot be.
    """
    from quimbi_assets.simulation import write_store

    if seed < 0:
        raise BadInputError(f"--seed {seed}: use 0 or more")
    folder = directory(out_dir.expanduser().absolute())
    with steps("simulating") as progress:
        try:
            counts = write_store(
                n_customers,
                folder,
                seed=seed,
                progress=lambda done, total: progress.step(f"{done:,} customers", done / total),
                slow_down_share=slow_down_share,
                slow_down_from=slow_down_from,
            )
        except ValueError as error:
            raise BadInputError(str(error)) from error
    for name, rows in counts.items():
        out.print(f"{folder / name}.parquet  {rows:,} rows", markup=False)
