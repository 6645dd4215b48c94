"""What a store sends becomes canonical orders: pure functions on frames, no database, no clock of their own.

Reading order: ``tables`` (columns and their names elsewhere) → ``files`` (CSV or Parquet as found) → ``aliases``
(columns as found → canonical) → ``text``, ``amounts``, ``dates`` (cells → values) → ``schemas`` (what an acceptable
row is) → ``rows`` and ``prepare`` (rows accepted, rows refused with a reason) → ``policy`` (which accepted orders
count as purchases) → ``canonical`` (the form that features read).
"""

from quimbi_assets.errors import BadInputError

__all__ = ["BadInputError"]
