"""``quimbi report``: a store's page as one file, to send or to print, and the same in a few lines of a terminal.

Belongs here: writing it. Does not: what it says (``page``).
"""

from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from quimbi_assets.commands.console import err, out
from quimbi_assets.page.content import StoreView
from quimbi_assets.page.render import store_page
from quimbi_assets.resources.exports import sink
from quimbi_assets.resources.pages import view_store
from quimbi_assets.resources.postgres.database import open_database


def write_report(store_id: str, path: Path) -> StoreView:
    """Write a store's page, and return what it says; the file appears when it is whole."""
    view = view_store(open_database(), store_id, in_a_file=True)
    page = store_page(view, live=False).encode()
    with sink(path) as file:
        file.write(page)
    err.print(f"{path}: {len(page) / 1000:,.0f} kB; open it in a browser", markup=False)
    return view


def print_summary(view: StoreView) -> None:
    """Print the first screen of a store's page."""
    out.print(f"\n[bold]{view.store_id}[/bold]  {view.summary}, up to {view.until}")
    for card in view.cards:
        change = f", {card.change}" if card.change else ""
        about = f"{card.share} of customers, {card.revenue} of the revenue{change}"
        out.print(f"  [bold cyan]{card.customers:>7}[/bold cyan] {card.name:8} {about}")
    for line in (view.money, view.leaving):
        out.print(f"  {line}", markup=False)
    for one in view.lists:
        out.print(f"  {one.title}: {one.headline}", markup=False)
    axes = " ".join(axis.question for axis in view.axes) or "none"
    out.print(Padding(Text(f"customers differ on {len(view.axes)} questions: {axes}"), (0, 0, 0, 2)), soft_wrap=False)
