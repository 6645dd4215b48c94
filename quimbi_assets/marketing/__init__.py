"""The layer above the axes that every shop knows: lifecycle, value tier, RFM group, and what each group is worth.

Belongs here: rules on orders alone, which give every customer a place, also where every axis is weak
(docs/adr/0018-lifecycle.md). Does not: axes and their segments, tables people query (``resources``).
"""

from quimbi_assets.marketing.groups import GROUPINGS, CustomerGroups, MarketingReference, fit_marketing, group_customers

__all__ = ["GROUPINGS", "CustomerGroups", "MarketingReference", "fit_marketing", "group_customers"]
