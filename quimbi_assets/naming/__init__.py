"""Clusters → named segments.

Reading order: ``segment_statistics`` counts and averages a fitted axis's segments in original units; ``descriptors``
say what is true of each in one word, ``rule_names`` chooses words until every name is unique, with
``name_builder``; ``sentences`` write the interpretation, with ``values``. ``brief`` is what a language model is told,
``asking`` in which words; ``conversation`` asks, tests (``validators``), has failures repaired once and
says what passed; ``plan`` settles who names which segment; ``rows`` is what leaves: rows of ``dim_segment_master``, and
the answer of ``quimbi segments --json``. Nothing here touches a network.
"""
