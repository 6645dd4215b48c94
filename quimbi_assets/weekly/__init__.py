"""Two snapshots of a store → what changed, for whom, and why.

Belongs here: pure functions on tables of a week. Does not: where snapshots rest, when they are made (``defs``).

Reading order: ``weeks`` (when a week ends), ``kept`` (what a snapshot keeps), ``history`` (the rows people query),
``change`` (how far a customer moved), ``digest`` and ``causes`` (why), ``silence`` (is this silence unusual for them),
``floors`` (what is noise in this store), ``comparison`` (migrations), ``alerts``, ``psi`` (drift of the population),
``retention``, ``pictures``.
"""
