"""Memberships × segments → customer profiles.

Reading order: ``scores`` is one axis's distances, memberships and evidence for many customers; ``archetypes`` and
``fingerprint`` each derive one thing from them, and ``fingerprint`` finds similar customers. Which archetypes are kept
is chosen by ``archetype_choice``; ``archetype_rows`` says what they are called. ``interpretation`` says a customer in a
sentence and how strong memberships are, with ``phrases``; ``json_text`` writes nested columns, ``feature_vectors`` one
of them; ``assemble`` puts a profile row together, in its ``context``; ``profiler`` does all of it from features, with
the models held in memory; ``rendering`` is what a person reads on a terminal, ``schema`` what is checked before
publishing.

Every step is arithmetic on arrays: one customer and a million take the same path, and a customer's profile
never depends on who else is being profiled.
"""
