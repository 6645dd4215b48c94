"""Who is about to stay away, learnt from the store's own past.

A store's history is cut at several past instants; for each customer known then it is known now whether they ordered in
the ``H`` days that followed. A small logistic model learns that from what was visible at the cut-offs, is evaluated on
the last hold-outs of history, none of which it had seen, and is compared there with days since the last order alone,
calibrated. Where that baseline wins, it is what serves.

Reading order: ``history`` measures customers at any instant, ``examples`` chooses ``H`` and the instants and gathers
them, to learn from and to hold out; ``additive`` is what weighs their numbers, ``model`` what is saved, with its level
set in time; ``measures`` are the statistics, ``evaluation`` puts hold-outs together and is the whole of it.
"""
