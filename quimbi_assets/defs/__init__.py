"""Thin Dagster layer: one module per stage, named after it. No arithmetic here, only wiring and metadata."""
