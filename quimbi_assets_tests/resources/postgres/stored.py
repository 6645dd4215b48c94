"""What a load left in the tables, as frames: read as runs read it, in the order of keys."""

from quimbi_assets.resources.postgres.reading import stored_rows


def read_orders(database, store_id):
    with stored_rows(database, store_id) as rows:
        return rows.stream("orders").read_pandas().sort_values("order_id", ignore_index=True)


def read_items(database, store_id):
    with stored_rows(database, store_id) as rows:
        return rows.stream("order_items").read_pandas().sort_values(["order_id", "line_no"], ignore_index=True)


def read_tickets(database, store_id):
    with stored_rows(database, store_id) as rows:
        return rows.stream("support_tickets").read_pandas().sort_values("ticket_id", ignore_index=True)


def read_quarantined(database, store_id):
    sql = 'SELECT * FROM quimbi.quarantined_rows WHERE store_id = %s ORDER BY "table", reason, row_md5'
    return database.query(store_id, sql, (store_id,))


def n_orders(database, store_id):
    """How many orders there are, also where the store itself is not stored."""
    return int(
        database.query(store_id, "SELECT count(*) FROM quimbi.orders WHERE store_id = %s", (store_id,)).iloc[0, 0]
    )
