"""The page as HTML: one template for the file that stands alone and for the page that is served.

Belongs here: filling templates, the content policy. Does not: what is said (``content``, ``customer``).
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from quimbi_assets.page.content import StoreView
from quimbi_assets.page.customer import CustomerView


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("quimbi_assets.page")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["style"] = style()
    environment.globals["policy"] = content_policy()
    return environment


@cache
def style() -> str:
    """Return the one style sheet, which every page carries."""
    return (files("quimbi_assets.page") / "templates" / "page.css").read_text()


@cache
def content_policy() -> str:
    """Return the content policy of every page: its own style sheet, and nothing from anywhere else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def looks() -> str:
    """Return a digest of all templates: pages from before they changed are not as good as those from after."""
    templates = sorted((files("quimbi_assets.page") / "templates").iterdir(), key=lambda one: one.name)
    return hashlib.sha256(b"".join(one.read_bytes() for one in templates)).hexdigest()


def store_page(view: StoreView, *, live: bool) -> str:
    """Return a store's page; ``live``: with links to customers' pages and lists, which a server answers."""
    return _rendered("store.html", view=view, live=live)


def customer_page(view: CustomerView) -> str:
    """Return a customer's page."""
    return _rendered("customer.html", view=view, live=True)


def stores_page(stores: Sequence[Any]) -> str:
    """Return the page that lists stores (``store_id``, ``customers``, ``orders``, ``state``)."""
    return _rendered("stores.html", stores=stores)


def message_page(title: str, message: str) -> str:
    """Return a page that says why there is none."""
    return _rendered("message.html", title=title, message=message)


def _rendered(template: str, **values: object) -> str:
    return str(_environment().get_template(template).render(**values))
