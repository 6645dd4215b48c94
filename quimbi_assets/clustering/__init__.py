"""Features of one axis → fitted axis model → memberships.

Reading order: ``scaling`` brings features to comparable units; ``prepared_sample`` says which states, customers and
features shape the fit; ``candidates`` are partitions measured by ``quality``, ``selection`` says which are admissible,
``fitting`` in which order features and states are tried. ``scoring`` applies a fit to customers and turns distances
into memberships, ``model`` is the scikit-learn estimator that holds all of it, with its figures in original
units, ``pictures`` draw it. ``segment_ids`` says which segment of a refit is which, ``promotion`` whether it serves,
``noise_test`` whether customers differ at all. No module here knows an axis by name, an orchestrator or a tracker.

Nothing is imported here, so that scoring need not load what only fitting uses.
"""
