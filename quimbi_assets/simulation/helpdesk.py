"""The helpdesk's keys: tickets that know a customer by e-mail, or by a number of the helpdesk's own.

Belongs here: e-mail addresses, the tickets that carry them, and the customers file that tells whose they are. Does
not: what tickets hold (``tickets``), joining them again.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.simulation.tables import Block, number_ids

TicketKeys = Literal["customer_id", "email", "helpdesk"]
"""How tickets name their customer: by the shop's id; by e-mail alone; by the helpdesk's own id beside the e-mail."""
FIRST_NAMES = pa.array(["ann", "ben", "carla", "david", "emma", "farid", "greta", "hugo", "ines", "jonas", "kim"])
LAST_NAMES = pa.array(["adams", "baker", "costa", "dietrich", "evans", "fischer", "garcia"])
HELPDESK_NUMBERS = 90_000_000
"""The helpdesk counts its customers down from here."""
SHOUTED_EVERY = 5
"""One ticket in so many has its e-mail in capitals, as some people type it."""


def with_ticket_keys(block: Block, keys: TicketKeys) -> Block:
    """Return a block whose tickets name customers by other keys, with the table ``customers`` that resolves them.

    Parameters
    ----------
    block : dict of str to Table
        Tables by name.
    keys : str
        With ``"customer_id"`` the block is returned as it is.

    Returns
    -------
    dict of str to Table
        ``support_tickets`` has ``email`` in the place of ``customer_id``, or after it, where ``customer_id`` is then
        the helpdesk's. ``customers`` has ``customer_id`` (the shop's) and ``email`` of every identified customer. All
        other tables are the same.
    """
    if keys == "customer_id":
        return block
    tickets, customer_id = block["support_tickets"], block["labels"]["customer_id"]
    position = tickets.schema.get_field_index("customer_id")
    number = _numbers(tickets["customer_id"])
    written = pa.chunked_array([_emails(number)])
    is_shouted = pa.array(np.arange(len(tickets)) % SHOUTED_EVERY == 0)
    written = pc.if_else(is_shouted, pc.utf8_upper(written), written)
    tickets = tickets.remove_column(position).add_column(position, "email", written)
    if keys == "helpdesk":
        tickets = tickets.add_column(position, "customer_id", number_ids("h", HELPDESK_NUMBERS - number, 8))
    customers = pa.table({"customer_id": customer_id, "email": _emails(_numbers(customer_id))})
    return {**block, "support_tickets": tickets, "customers": customers}


def _numbers(customer_id: pa.ChunkedArray) -> np.ndarray:
    """Numbers of customers from the shop's ids."""
    return np.asarray(pc.cast(pc.utf8_slice_codeunits(customer_id, 1), pa.int64()))


def _emails(number: np.ndarray) -> pa.Array:
    """E-mail addresses of customers, all different.

    Examples
    --------
    >>> _emails(np.array([1, 12])).to_pylist()
    ['ben.baker1@example.com', 'ben.fischer12@example.com']
    """
    first, last = (pc.take(names, pa.array(number % len(names))) for names in (FIRST_NAMES, LAST_NAMES))
    name = pc.binary_join_element_wise(first, last, ".")
    return pc.binary_join_element_wise(name, pc.cast(pa.array(number), pa.string()), "@example.com", "")
