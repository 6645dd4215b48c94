"""Addresses of databases: one server, several databases, two spellings.

Belongs here: URLs. Does not: connecting (``database``).
"""

from urllib.parse import quote, unquote, urlsplit, urlunsplit


def with_name(url: str, name: str) -> str:
    """Return `url` as libpq takes it, for the database `name` on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql", path=f"/{quote(name) if '%' not in name else name}"))


def database_name(url: str) -> str:
    """Return the name of the database that `url` points to."""
    return unquote(urlsplit(url).path.strip("/"))


def for_sqlalchemy(url: str) -> str:
    """Return a libpq URL as SQLAlchemy takes it, the psycopg2 driver named (2.1 would pick another)."""
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)
