"""The layer above the axes that every shop knows: lifecycle, value tier, RFM group, what each group is worth, and what
each customer buys most.

Belongs here: rules on orders alone, which give every customer a place, also where every axis is weak
(docs/adr/0018-lifecycle.md). Does not: axes and their segments, tables people query (``resources``).
"""

from quimbi_assets.marketing.affinity import fit_affinities
from quimbi_assets.marketing.groups import GROUPINGS, CustomerGroups, MarketingReference, fit_marketing, group_customers

__all__ = ["GROUPINGS", "CustomerGroups", "MarketingReference", "fit_affinities", "fit_marketing", "group_customers"]
