"""Features of one axis → fitted axis model → memberships.

Reading order: ``transforms`` and ``scaling`` bring features to comparable units, ``structural``, ``usable`` and
``sampling`` say which states, features and customers shape the fit, ``setting`` puts them on one scale,
``candidates`` are partitions measured by ``quality`` and ``stability``, ``selection`` says which are admissible,
``views`` in which order features and states are tried, ``fitting`` puts these in order. ``membership`` turns
distances into shares, ``scoring`` applies a fit to customers, ``model`` is the scikit-learn estimator that holds all
of it, ``summary`` its figures in shop units, ``pictures`` draw it. No module here knows an axis by name, an
orchestrator or a tracker.

Nothing is imported here, so that scoring need not load what only fitting uses.
"""
