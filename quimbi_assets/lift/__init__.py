"""Whether it helped: customers acted on beside a control group, held against each other without being fooled.

Belongs here: who is in a control group, what is held against what, the interval and what may be concluded from it. Does
not: acting on anybody, the record of it (``resources.postgres.tables.treatments``), its words on a terminal or a page.

Reading order: ``assignment`` (what is tried, on whom not), ``comparison`` (the difference between the arms, look by
look), ``boundary`` (how far it must be from zero at each look), ``verdict`` (both together).
"""
