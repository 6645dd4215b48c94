"""The axes there are, found by looking into this package.

Belongs here: finding and ordering them. Does not: anything that is done with them.
"""

import importlib
import pkgutil
from pathlib import Path

from quimbi_assets.axes._axis import Axis


def _discover() -> dict[str, Axis]:
    found = [
        importlib.import_module(f"{__package__}.{module.name}").AXIS
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_")
    ]
    return {axis.name: axis for axis in sorted(found, key=_place)}


def _place(axis: Axis) -> tuple[str, bool, str]:
    """Axes that need tickets come last: where a store begins to send them, no other axis's place in a list moves."""
    return axis.kind, any(column.startswith("tickets.") for column in axis.essential), axis.name


#: Every axis by name: the marketing axes, then the support axes, each alphabetically, last those about tickets.
AXES: dict[str, Axis] = _discover()
