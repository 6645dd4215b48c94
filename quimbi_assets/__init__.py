"""A store's raw orders become behavioural segments and customer profiles.

Reading order, which is also the order of the pipeline:

1. ``store``, ``instants``, ``engines``  a store's clock, currency and order policy; instants; where relations run
2. ``ingest``      what a store sends → canonical orders, lines and tickets: schemas, quarantine, order policy
3. ``history``     what a store recorded, cut at an instant: the only place that knows what was visible then
4. ``axes``        history → one table of features per axis (``axis_table``)
5. ``clustering``  features → fitted axis model, memberships
6. ``naming``      clusters → named segments
7. ``profiles``    memberships × segments → customer profiles
8. ``churn``       history at past instants → calibrated risk that a customer stays away
9. ``pipeline``    fit a store, score a store: what assets, weeks, backtest, profiler and notebooks all call
10. ``weekly``     two weekly snapshots → what changed, for whom and why
11. ``explanation``  why one customer is where they are, and what would move them
12. ``backtest``   segments of past instants against what customers did next
12. ``lift``       customers acted on beside a control group: whether it helped

``resources`` is the only code that touches the outside (database, MLflow, files), ``defs`` is the thin Dagster layer
over all of it, ``cli`` the ``quimbi`` command over the same assets, ``analysis`` the same for a notebook, and
``simulation`` makes stores whose true segments are known.
"""
