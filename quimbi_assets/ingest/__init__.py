"""What a store sends becomes canonical orders: pure functions on chunks of a file, no database, no clock of their own.

Reading order: ``tables`` (columns, their limits, their names elsewhere) → ``files`` (CSV or Parquet as found, chunk by
chunk) → ``columns`` (columns as found → canonical) → ``cells``, ``dates`` (cells → values) → ``survey`` (what must be
known of the whole file first) → ``rows`` (what an acceptable row is) → ``prepare`` (rows accepted, rows
refused with a reason) → ``policy`` (which accepted orders count as purchases) → ``canonical`` (the form that features
read).
"""
