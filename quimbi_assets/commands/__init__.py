"""What the ``quimbi`` commands do, one module a theme; ``cli`` only reads their options.

Everything here works on the same assets, resources and database as Dagster's UI.
"""
