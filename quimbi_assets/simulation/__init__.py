"""A store that never was: orders, lines, tickets, and the behaviour planted in them.

Belongs here: drawing a store of any size from a seed, with the truth written beside it. Does not: measuring
anything; the axes are never imported, so that what they find can be checked against what was planted.

Reading order: ``archetypes`` (what is planted), ``customers``, ``clock``, ``catalogue``, ``orders``, ``baskets``,
``tickets``, ``tables``, ``store``; ``effects`` (what acting on customers of such a store did).
"""

from quimbi_assets.simulation.archetypes import ARCHETYPES, STATES
from quimbi_assets.simulation.store import SimulatedStore, simulate_store, write_store

__all__ = ["ARCHETYPES", "STATES", "SimulatedStore", "simulate_store", "write_store"]
