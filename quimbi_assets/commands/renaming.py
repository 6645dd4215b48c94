"""Sets a segment's name by a person, which nothing overwrites, and lets profiles and archetypes follow.

Belongs here: finding the segment, checking the name, publishing anew. Does not: names by rule or by Claude.
"""

from quimbi_assets.commands.console import out, steps
from quimbi_assets.errors import BadInputError


def rename_segment(store_id: str, axis_name: str, segment: str, name: str, *, wait: bool = False) -> None:
    """Name a segment, and publish the axis and the profiles with that name.

    Parameters
    ----------
    store_id, axis_name : str
        Store and axis.
    segment : str
        The segment's id or present name.
    name : str
        Its name from now on.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or segment, the name cannot be used, or somebody runs the store and this is
        not to wait; nothing is changed.
    """
    from quimbi_assets.commands.running import republish, store_lock
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.naming import write_rename

    with steps(store_id) as progress, store_lock(store_id, progress, wait=wait) as lock:
        segment_id, before = find_segment(store_id, axis_name, segment, name)
        write_rename(open_database(), store_id, axis_name, segment_id, name)
        republish(lock, store_id, axis_name, progress, ai_naming=False)
    out.print(
        f"axis {axis_name} of store {store_id}: segment {segment_id} is {name} instead of {before}; "
        "runs and refits keep that name, profiles and archetypes show it",
        markup=False,
    )


def find_segment(store_id: str, axis_name: str, segment: str, name: str) -> tuple[str, str]:
    """Return the id and present name of the segment to be renamed.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or segment, or the name cannot be used.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.naming.validators import FORM_RULE, bad_form, taken
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.segments import read_segments
    from quimbi_assets.resources.postgres.tables.stores import read_store

    database = open_database()
    read_store(database, store_id)
    if axis_name not in AXES:
        raise BadInputError(f"unknown axis {axis_name}; there are: {', '.join(AXES)}")
    if bad_form(name):
        raise BadInputError(f"--to {name!r} cannot be a name: {FORM_RULE}, such as lapsed_regulars")
    _, segments = read_segments(database, store_id)
    own = segments[segments["axis_name"] == axis_name]
    names = {str(one): str(given) for one, given in zip(own["segment_id"], own["segment_name"], strict=True)}
    ids = [one for one, given in names.items() if segment in (one, given)]
    if not ids:
        known = ", ".join(f"{one} ({given})" for one, given in names.items()) or "none: the axis is inactive"
        raise BadInputError(f"axis {axis_name} of store {store_id} has no segment {segment!r}; there are: {known}")
    if taken(name, [given for one, given in names.items() if one != ids[0]]):
        raise BadInputError(f"another segment of axis {axis_name} is called {name}; names tell segments apart")
    return ids[0], names[ids[0]]
