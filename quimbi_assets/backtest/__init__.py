"""Do segments tell what customers will do next?

History is cut at several past instants; axes are fitted on what was known then, by the path that every run takes, and
their segments, and the memberships in them, are held against what the same customers did in the next 90 days. Groups by
RFM quintiles, as many as an axis has segments, are the baseline.

Reading order: ``hold_out`` measures what each axis claims; ``baseline`` makes the RFM groups and the statistic;
``evaluation`` tries one cut-off, then puts all together and draws them.
"""
