"""Weekly snapshots of a store → what changed since the one before, for whom, and why.

Belongs here: pure functions on a history, models and tables at rest. Does not: where these rest, when weeks are made
(``defs``).

Reading order: ``snapshot`` (where everybody stands at a week's end, and what is kept to score it again), ``drift`` (how
far and how fast customers moved, and the population), ``causes`` (why), ``noise`` (is a silence, or a move, unusual),
``rescore`` (two snapshots under one model), ``compare`` (migrations), ``rows`` (the tables people query),
``notifications`` (whom the store is told of), ``pictures``.
"""
