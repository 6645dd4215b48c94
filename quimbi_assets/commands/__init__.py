"""What the ``quimbi`` commands do, one module a theme; ``cli`` only reads their options.

Everything here works on the same assets, resources and database as Dagster's UI. What cannot be used (an unknown store,
axis, segment or customer, a value that cannot be, a store that somebody else runs) is a ``BadInputError`` of one line,
raised before anything is changed.
"""
