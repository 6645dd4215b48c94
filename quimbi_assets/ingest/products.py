"""A shop's list of products: which category and type each of its keys stands for.

Belongs here: reading such lists, whatever column their lines are known by. Does not: where products are kept
(``resources.postgres.tables.products``), lines (``prepare``).
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import columns
from quimbi_assets.ingest.cells import as_text, plain_text
from quimbi_assets.ingest.files import Table
from quimbi_assets.ingest.survey import Survey
from quimbi_assets.ingest.tables import LONGEST_ID, PRODUCTS

HANDLES = ("handle", "url_handle")
"""Shopify's name of a product, on each of its variants' rows; its title, type and category stand on the first one."""
NO_TYPE = r"(?:simple|variable|variation|grouped|external|virtual|downloadable|configurable|bundle)(?:,.*)?"
"""What WooCommerce and Magento say in the column of types, which is none of the shop's."""


def product_rows(table: Table, surveyed: Survey, where: str) -> Iterator[pd.DataFrame]:
    """Yield ``product_id, category, product_type``, chunk by chunk: one row for every key that a product has.

    A file, called `where`, that says neither category nor type is a ``BadInputError``.
    """
    names = columns.by_name(table.columns)
    kinds = {kind: name for kind, name in surveyed.columns.items() if kind in ("category", "product_type")}
    if not kinds:
        raise BadInputError(
            f"{where} says neither category nor product_type of a product: it has {', '.join(table.columns)}"
        )
    possible = columns.candidates(table.columns, PRODUCTS, table.chosen)["product_id"]
    handle = next((names[name] for name in HANDLES if name in names), None)
    before: pd.DataFrame | None = None
    for chunk in table.chunks(None):
        frame = chunk.frame
        if handle is not None:
            rest = [*kinds.values(), *(name for name in possible if columns.normalised(name) == "title")]
            known = frame if before is None else pd.concat([before, frame])
            filled = known.groupby(handle, sort=False)[rest].ffill()
            frame = frame.assign(**{name: filled[name].iloc[-len(frame) :] for name in rest})
            before = frame.iloc[[-1]]
        yield _by_key(frame, surveyed, possible, kinds, handle)


def _by_key(
    frame: pd.DataFrame, surveyed: Survey, possible: Sequence[str], kinds: dict[str, str], handle: str | None
) -> pd.DataFrame:
    def text(name: str) -> pd.Series:
        return as_text(frame[name], surveyed.signs[name])

    values = {kind: text(name) for kind, name in kinds.items()}
    if columns.normalised(kinds.get("category", "")) == "categories":  # several, of which the first counts
        values["category"] = values["category"].str.split(r"(?<!\\),", regex=True).str[0].str.strip()
    if "product_type" in values:
        values["product_type"] = values["product_type"].mask(values["product_type"].str.fullmatch(NO_TYPE, case=False))
    keys = [as_text(frame[name], surveyed.signs[name], are_ids=True) for name in possible if name in surveyed.signs]
    if handle is not None and (variant := _variants(frame)) is not None:
        keys.append(plain_text(variant))
    rows = pd.concat([pd.DataFrame({"product_id": key, **values}) for key in keys])
    rows = rows[rows["product_id"].str.len() <= LONGEST_ID].dropna(subset=list(values), how="all")
    return rows.reindex(columns=list(PRODUCTS.columns)).drop_duplicates("product_id")


def _variants(frame: pd.DataFrame) -> pd.Series | None:
    """Return variants' names as Shopify's orders write them: "Mug - Blue / Large"."""
    names = columns.by_name(frame.columns)
    options = [names[name] for name in ("option1_value", "option2_value", "option3_value") if name in names]
    if "title" not in names or not options:
        return None
    written = frame[options[0]].astype("str")
    for option in options[1:]:
        more = frame[option].astype("str")
        written = (written + " / " + more).fillna(written)
    return frame[names["title"]].astype("str") + " - " + written
