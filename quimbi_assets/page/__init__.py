"""The page of a store, for people who sell: who there is, who brings the money, who is leaving, whom to write to.

Belongs here: what the page says, its charts, its HTML (docs/adr/0023-page.md). Does not: reading the tables, serving
(``resources``, ``api``).
"""
