"""Takes the pictures of the README: Dagster's and MLflow's pages of the demo's stores, in headless Chromium.

Run after ``make demo``: ``make screenshots``. Needs Chromium (Debian: ``apt-get install chromium``) or another
one named by ``CHROMIUM``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlencode

from playwright.sync_api import Page, sync_playwright

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.resources.dagster_resources import open_tracking

PICTURES = Path(__file__).parent / "pictures"
STORE, AXIS = "grocery", "purchase_frequency"
SIMULATED = "simulated"
DAGSTER, MLFLOW = 3210, 5210
PAGES = 8000
"""Where the runs of the demo have written that their pictures are."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def store_pages(page: Page) -> None:
    """Take the page of the simulated store, of which there are weeks: its first screen, its segments, on a phone."""
    address = f"http://127.0.0.1:{PAGES}/stores/{SIMULATED}"
    page.set_viewport_size({"width": 1280, "height": 1250})
    page.goto(address)
    page.screenshot(path=PICTURES / "store_page.png")
    page.set_viewport_size({"width": 1280, "height": 6000})  # all of it in sight, so that the bar stays at the top
    place = page.locator("#segments").bounding_box()
    assert place is not None
    area = {"x": place["x"], "y": place["y"], "width": place["width"], "height": 1000.0}
    page.screenshot(path=PICTURES / "store_page_segments.png", clip=area)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.screenshot(path=PICTURES / "store_page_phone.png")


def main() -> None:
    """Serve both pages, take every picture, stop."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no Chromium found; install it (Debian: apt-get install chromium) or set CHROMIUM")
    PICTURES.mkdir(exist_ok=True)
    compared = two_runs()
    command = [sys.executable, "-m", "quimbi_assets.cli", "ui"]
    ports = ["--dagster-port", str(DAGSTER), "--mlflow-port", str(MLFLOW), "--page-port", str(PAGES)]
    server = subprocess.Popen([*command, *ports], start_new_session=True)
    try:
        for port in (DAGSTER, MLFLOW, PAGES):
            wait_for(f"http://127.0.0.1:{port}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(180_000)
            dagster_pages(page)
            mlflow_pages(page, compared)
            store_pages(page)
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)


def two_runs() -> list[str]:
    """Make sure the axis has two runs to compare, the older one as of half a year before; newest first."""
    tracking = open_tracking()
    runs = axis_runs(tracking)
    if len(runs) < 2:
        progress = Steps(None, STORE)
        run_store(STORE, RunOptions(as_of="2017-07-01"), progress)
        run_store(STORE, RunOptions(), progress)
        runs = axis_runs(tracking)
    return runs[:2]


def axis_runs(tracking: object) -> list[str]:
    """Run ids of the axis's models, newest first."""
    client = tracking.client  # type: ignore[attr-defined]
    experiment = client.get_experiment_by_name(f"quimbi/{STORE}")
    runs = client.search_runs([experiment.experiment_id], f"tags.axis = '{AXIS}'", order_by=["start_time DESC"])
    return [run.info.run_id for run in runs]


def wait_for(url: str) -> None:
    """Wait up to two minutes for a page."""
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{url} did not answer")


def dagster_pages(page: Page) -> None:
    """Take the asset graph, the model page of an axis, and its segments."""
    base = f"http://127.0.0.1:{DAGSTER}"
    lineage = f"assets/segments/{AXIS}?view=lineage&lineageScope=upstream&lineageDepth=5"
    for name, address in (("graph", "asset-groups"), ("axis_graph", lineage)):
        page.goto(f"{base}/{address}", wait_until="networkidle")
        dismiss(page)
        page.wait_for_timeout(10000)
        page.screenshot(path=PICTURES / f"dagster_{name}.png")
    for name, key in (("axis_model", f"models/{AXIS}"), ("segments", f"segments/{AXIS}")):
        page.goto(f"{base}/assets/{key}?view=partitions&partition={STORE}", wait_until="networkidle")
        page.get_by_text("Show schema").first.wait_for()
        dismiss(page)
        page.screenshot(path=PICTURES / f"dagster_{name}.png")
        if name == "axis_model":
            show_picture(page, f"dagster_{name}_picture")
    page.goto(f"{base}/assets/churn/model?view=partitions&partition={STORE}", wait_until="networkidle")
    dismiss(page)
    show_picture(page, "dagster_churn")
    page.goto(f"{base}/automation", wait_until="networkidle")
    dismiss(page)
    page.wait_for_timeout(3000)
    page.screenshot(path=PICTURES / "dagster_automation.png")


def show_picture(page: Page, name: str) -> None:
    """Take the last picture among the metadata of a materialization."""
    picture = page.get_by_alt_text("picture").last
    picture.wait_for()
    picture.scroll_into_view_if_needed()
    page.wait_for_timeout(3000)
    page.screenshot(path=PICTURES / f"{name}.png")


def dismiss(page: Page) -> None:
    """Close the community dialog of a fresh profile."""
    for label in ("Close", "No thanks", "Skip", "Dismiss"):
        button = page.get_by_role("button", name=label)
        if button.count():
            button.first.click()
    page.keyboard.press("Escape")


def mlflow_pages(page: Page, run_ids: list[str]) -> None:
    """Take an axis's fits over time, as its page in Dagster links to them, and two of them by number of segments."""
    experiment = open_tracking().client.get_run(run_ids[0]).info.experiment_id
    for name, address in (
        ("comparison", f"http://127.0.0.1:{PAGES}/mlflow/axes/{AXIS}?store={STORE}"),
        ("metric_by_k", metric_address(f"http://127.0.0.1:{MLFLOW}", run_ids, experiment)),
    ):
        page.goto(address, wait_until="load")
        page.wait_for_timeout(15000)
        assistant = page.get_by_role("button", name="Close")
        if assistant.count():
            assistant.first.click()
            page.wait_for_timeout(2000)
        page.screenshot(path=PICTURES / f"mlflow_{name}.png")


def metric_address(base: str, run_ids: list[str], experiment: str) -> str:
    """Return the page that draws silhouette and stability by k of several runs over one another.

    The page of an experiment's runs folds child runs away, and with them their charts; this one shows them.
    """
    shown = {
        "runs": run_ids,
        "metric": "silhouette",
        "experiments": [experiment],
        "plot_metric_keys": ["silhouette", "stability_ari"],
        "plot_layout": {},
    }
    query = urlencode({name: json.dumps(value) for name, value in shown.items()}, quote_via=quote)
    return f"{base}/#/metric?{query}&x_axis=step"


if __name__ == "__main__":
    main()
