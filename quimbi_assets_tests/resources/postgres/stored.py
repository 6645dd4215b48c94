"""What a load left in the tables, as frames: read as runs read it, in the order of keys."""

from quimbi_assets.resources.postgres.reading import stored_items, stored_orders, stored_tickets


def read_orders(database, store_id):
    with stored_orders(database, store_id, "UTC") as rows:
        return rows.read_pandas().sort_values("order_id", ignore_index=True)


def read_items(database, store_id):
    with stored_items(database, store_id) as rows:
        return rows.read_pandas().sort_values(["order_id", "line_no"], ignore_index=True)


def read_tickets(database, store_id):
    with stored_tickets(database, store_id, "UTC") as rows:
        return rows.read_pandas().sort_values("ticket_id", ignore_index=True)


def read_quarantined(database, store_id):
    sql = 'SELECT * FROM quimbi.quarantined_rows WHERE store_id = %s ORDER BY "table", reason, row_md5'
    return database.query(sql, (store_id,))
