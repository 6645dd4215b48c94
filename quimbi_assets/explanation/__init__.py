"""Why a customer is where they are, and what would move them: a receipt, recomputable from model and features.

Belongs here: the decision of an axis by its features (``decision``), orders and tickets that may come (``changes``),
the smallest of them that moves a customer (``search``), the receipt (``receipt``) and its words (``words``). Does not:
reading a store (``resources.profiling``).
"""
