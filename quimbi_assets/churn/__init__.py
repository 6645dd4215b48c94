"""Who is about to stay away, learnt from the store's own past.

A store's history is cut at several past instants; for each customer known then it is known now whether they ordered in
the ``H`` days that followed. A small logistic model learns that from what was visible at the cuts, is put to the test
on the last windows of history, none of which it had seen, and is compared there with days since the last order alone,
calibrated. Where that simple rule wins, it is what serves.

Reading order: ``horizon`` chooses ``H``; ``cuts`` the instants; ``history`` measures customers at any of them and
``examples`` gathers them; ``design`` says what the model reads; ``additive`` and ``silence`` are the kinds of model,
``season`` and ``trend`` set their level, ``model`` is what is saved; ``measures`` are the statistics; ``window`` is one
test on unseen history, ``trial`` several of them and the verdict; ``training`` the whole of it, ``picture`` draws it.
"""
