"""Memberships × segments → customer profiles.

Reading order: ``scores`` is one axis's distances, memberships and evidence for many customers; ``archetypes`` and
``fingerprint`` each derive one thing from them, and ``fingerprint`` finds similar customers. Which archetypes are kept
is chosen by ``archetype_choice``; ``archetype_rows`` says what they are called. ``interpretation`` says a customer in a
sentence and how strong memberships are, ``risk`` what the churn risk rests on; ``json_text`` writes nested columns;
``assemble`` puts profile rows together, also from features with the models in memory, and says what is checked of them
before publishing; ``rendering`` is what a person reads on a terminal.

Every step is arithmetic on arrays: one customer and a million take the same path, and a customer's profile
never depends on who else is being profiled.
"""
