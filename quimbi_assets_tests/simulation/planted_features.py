"""Features of the planted axes in plain pandas, written apart from ``quimbi_assets.axes``.

The formulas are those of the axes, reduced to what an independent check of separability needs.
"""

import numpy as np
import pandas as pd

from quimbi_assets.simulation import SimulatedStore

DAY = pd.Timedelta(days=1)


def valid_orders(store: SimulatedStore, time_zone: str = "America/New_York") -> pd.DataFrame:
    """Paid orders of identified customers by time, with local time, index, gap and net value."""
    orders = store.orders
    kept = orders[(orders["status"] == "paid") & orders["customer_id"].notna()]
    kept = kept.sort_values(["customer_id", "order_date"]).reset_index(drop=True)
    by_customer = kept.groupby("customer_id")
    return kept.assign(
        local=kept["order_date"].dt.tz_convert(time_zone).dt.tz_localize(None),
        index=by_customer.cumcount(),
        gap=by_customer["order_date"].diff() / DAY,
        net=kept["total_price"] - kept["refund_amount"],
    )


def valid_lines(store: SimulatedStore, orders: pd.DataFrame) -> pd.DataFrame:
    return store.order_items.merge(orders[["order_id", "customer_id", "index"]], on="order_id")


def logit(share: pd.Series) -> pd.Series:
    return np.log((share + 0.05) / (1 - share + 0.05))


def purchase_frequency(store, orders, lines):
    by = orders.groupby("customer_id")
    end = store.orders["order_date"].max().ceil("D")
    gap = by["gap"].mean()
    months = ((end - by["order_date"].min()) / DAY).clip(lower=30) / 30.4375
    return pd.DataFrame(
        {
            "orders_per_month": np.log1p(by.size() / months),
            "avg_days_between_orders": np.log1p(gap),
            "purchase_consistency": 1 / (1 + by["gap"].std() / gap),
            "days_since_last_order": np.log1p((end - by["order_date"].max()) / DAY),
        }
    )


def purchase_value(store, orders, lines):
    by = orders.assign(y=np.log1p(orders["net"])).groupby("customer_id")
    x, y = orders["index"], np.log1p(orders["net"])
    x_off, y_off = x - by["index"].transform("mean"), y - by["y"].transform("mean")
    sums = pd.DataFrame({"id": orders["customer_id"], "xy": x_off * y_off, "xx": x_off**2}).groupby("id").sum()
    return pd.DataFrame(
        {
            "lifetime_value": np.log1p(by["net"].sum()),
            "avg_order_value": np.log1p(by["net"].mean()),
            "value_trend": sums["xy"] / sums["xx"],
        }
    )


def price_sensitivity(store, orders, lines):
    is_discounted = orders["discount_amount"] > 0
    sums = (
        pd.DataFrame(
            {
                "customer_id": orders["customer_id"],
                "rate": is_discounted.astype(float),
                "gross": orders["total_price"] + orders["discount_amount"],
                "discount": orders["discount_amount"],
                "full": orders["total_price"].where(~is_discounted, 0.0),
            }
        )
        .groupby("customer_id")
        .agg({"rate": "mean", "gross": "sum", "discount": "sum", "full": "sum"})
    )
    return pd.DataFrame(
        {
            "discount_rate": logit(sums["rate"]),
            "discount_depth": logit(sums["discount"] / sums["gross"]),
            "full_price_value_share": logit(sums["full"] / sums["gross"]),
        }
    )


def _clock(orders):
    local = orders["local"]
    hour = local.dt.hour + local.dt.minute / 60
    is_weekend = local.dt.dayofweek >= 5
    month = (local.dt.month - 1) * 2 * np.pi / 12
    return orders.assign(
        weekend=is_weekend.astype(float),
        business=(~is_weekend & (hour >= 9) & (hour < 17)).astype(float),
        hour_sin=np.sin(hour * 2 * np.pi / 24),
        hour_cos=np.cos(hour * 2 * np.pi / 24),
        month_sin=np.sin(month),
        month_cos=np.cos(month),
    )


def purchase_cadence(store, orders, lines):
    columns = ["weekend", "business", "hour_sin", "hour_cos", "month_sin", "month_cos"]
    mean = _clock(orders).groupby("customer_id")[columns].mean()
    return pd.DataFrame(
        {
            "weekend_ratio": logit(mean["weekend"]),
            "business_hours_ratio": logit(mean["business"]),
            "hour_sin": mean["hour_sin"],
            "hour_cos": mean["hour_cos"],
            "hour_concentration": np.hypot(mean["hour_sin"], mean["hour_cos"]),
            "season_concentration": np.hypot(mean["month_sin"], mean["month_cos"]),
        }
    )


def communication_preference(store, orders, lines):
    channels = ["web", "pos", "draft_order", "other"]
    clock = _clock(orders)
    before = clock.groupby("customer_id")["source"].shift()
    switched = (clock["source"] != before).astype(float).where(before.notna())
    shares = pd.DataFrame({f"channel_{c}": (clock["source"] == c).astype(float) for c in channels})
    shares = shares.assign(
        channel_switching_rate=switched,
        weekend_ratio=clock["weekend"],
        business_hours_ratio=clock["business"],
        customer_id=clock["customer_id"],
    )
    return shares.groupby("customer_id").mean().apply(logit)


def category_exploration(store, orders, lines):
    counts = lines.groupby(["customer_id", "category"]).size().rename("n").reset_index()
    n_lines = counts.groupby("customer_id")["n"].transform("sum")
    counts["h"] = -counts["n"] / n_lines * np.log(counts["n"] / n_lines)
    by = counts.groupby("customer_id")
    n, total = by.size(), by["n"].sum()
    entropy = by["h"].sum() + (n - 1) / (2 * total)
    return pd.DataFrame(
        {
            "unique_categories": np.log1p(n),
            "category_diversity": (entropy / np.log(n.where(n > 1))).clip(0, 1),
            "exploration_breadth": lines.groupby("customer_id")["product_id"].nunique() / total,
        }
    )


def repurchase_behavior(store, orders, lines):
    products = (
        lines.groupby(["customer_id", "product_id"])
        .agg(n_lines=("line_no", "size"), n_orders=("order_id", "nunique"), first=("index", "min"))
        .reset_index()
    )
    by = products.groupby("customer_id")
    rank = products.groupby("customer_id")["n_lines"].rank(ascending=False, method="first")
    n_top = (by["n_lines"].transform("size") * 0.2).astype(int).clip(lower=1)
    top = products["n_lines"].where(rank <= n_top, 0).groupby(products["customer_id"]).sum()
    known = lines.merge(products[["customer_id", "product_id", "first"]], on=["customer_id", "product_id"])
    repeats = known[known["index"] > known["first"]].groupby("customer_id")["order_id"].nunique()
    later = orders.groupby("customer_id").size() - 1
    return pd.DataFrame(
        {
            "repeat_rate": logit((products["n_orders"] > 1).groupby(products["customer_id"]).mean()),
            "repeat_order_ratio": logit(repeats.reindex(later.index, fill_value=0) / later.where(later > 0)),
            "loyalty_index": top / by["n_lines"].sum(),
        }
    )


def return_behavior(store, orders, lines):
    by = orders.groupby("customer_id")
    is_refunded = orders["refund_amount"] > 0
    return pd.DataFrame(
        {
            "refund_rate": logit(by["refund_amount"].sum() / by["total_price"].sum()),
            "items_returned_pct": logit((lines["refund_amount"] > 0).groupby(lines["customer_id"]).mean()),
            "return_order_ratio": logit(is_refunded.groupby(orders["customer_id"]).mean()),
        }
    )


def support_history(store, orders, lines):
    tickets = store.support_tickets
    hour = pd.Timedelta(hours=1)
    frame = pd.DataFrame(
        {
            "customer_id": tickets["customer_id"],
            "avg_first_response_hours": (tickets["first_response_at"] - tickets["created_at"]) / hour,
            "avg_resolution_hours": (tickets["resolved_at"] - tickets["created_at"]) / hour,
            "reopen_rate": (tickets["reopen_count"] > 0).astype(float),
            "satisfaction_avg": tickets["satisfaction_score"].astype(float),
            "complaint": tickets["tags"].str.contains("complaint").astype(float),
        }
    )
    by = frame.groupby("customer_id")
    mean = by.mean()
    hours = ["avg_first_response_hours", "avg_resolution_hours"]
    mean[hours] = np.log1p(mean[hours])
    return mean.assign(tickets_per_order=by.size() / orders.groupby("customer_id").size())
