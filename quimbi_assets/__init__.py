"""A store's raw orders become behavioural segments and customer profiles.

Reading order, which is also the order of the pipeline:

1. ``orders``      what a store sends → canonical orders: schemas, quarantine, order policy
2. ``axes``        canonical orders → one feature table per axis, as of any instant
3. ``clustering``  features → fitted axis model, memberships
4. ``segments``    clusters → named segments
5. ``profiles``    memberships × segments → customer profiles
6. ``churn``       features at past instants → calibrated risk that a customer stays away
7. ``drift``       two weekly snapshots → what changed, for whom and why
8. ``backtest``    segments of past instants against what customers did next

``resources`` is the only code that touches the outside (database, MLflow, files), ``defs`` is the thin
Dagster layer over all of it, ``cli`` the ``quimbi`` command over the same assets, and ``simulation``
makes stores whose true segments are known.
"""
