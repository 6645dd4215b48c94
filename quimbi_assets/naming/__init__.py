"""Clusters → named segments.

Reading order: ``describe`` counts and averages a fitted axis's segments in shop units; ``traits`` says what
is true of each in one word, by ``truth``; ``naming`` chooses words until every name is unique, with ``wording``;
``interpretation`` writes the sentence, with ``values`` and ``clock``; ``rows`` and ``table`` are what leaves:
rows of ``dim_segment_master``, and the answer of ``quimbi segments --json``. ``asking`` is names asked of Claude, and
who names which segment.
"""
