"""The built wheel: it holds the package's whole tree, and works far from the repository."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

pytestmark = pytest.mark.xdist_group("docs")
ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [UV, "build", "--quiet", "--offline", "--wheel", "--out-dir", folder, ROOT]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the programs of an environment that has the wheel, and sees the libraries of this one.

    It lies in a repository that is somebody else's, as those of most projects do.
    """
    environment = tmp_path_factory.mktemp("installed")
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "--quiet"], [*author, "commit", "--quiet", "--allow-empty", "--message", "theirs"]):
        subprocess.run(["git", "-C", environment, *command], check=True)
    venv.create(environment, symlinks=True)
    programs = environment / "bin"
    command = [UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", programs / "python", wheel]
    subprocess.run(command, check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # Read after the wheel; of this folder nothing is followed that leads on, such as the repository's place.
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return programs


def test_it_holds_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    tree = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "quimbi_assets").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == tree
    assert {Path(name).name for name in about} >= {"METADATA", "RECORD", "WHEEL", "entry_points.txt"}


def test_a_store_is_loaded_and_run_from_it(installed, database, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def ask(program, *arguments):
        command = [installed / program, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert ask("python", "-c", "import quimbi_assets as q; print(q.__file__)").startswith(str(installed.parent))
    assert "Behavioural segments" in ask("quimbi", "--help")
    ask("quimbi", "simulate", "--customers", "120", "--out", "shop")
    files = ["--orders", "shop/orders.parquet", "--items", "shop/order_items.parquet"]
    ask("quimbi", "load", "--store-id", "from_a_wheel", *files)
    ask("quimbi", "run", "--store-id", "from_a_wheel", "--axes", "purchase_value", "--no-ai-naming")
    assert "<html" in ask("quimbi", "report", "--store-id", "from_a_wheel", "--out", "-")
    made_by = """
        SELECT DISTINCT commit.value FROM tags AS commit JOIN tags AS store USING (run_uuid)
        WHERE commit.key = 'mlflow.source.git.commit' AND store.key = 'store' AND store.value = 'from_a_wheel'
    """
    engine = create_engine(database.mlflow_url)
    with engine.connect() as connection:
        assert connection.execute(text(made_by)).all() == [(metadata.version("quimbi_assets"),)]
    engine.dispose()
