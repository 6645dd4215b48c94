"""What the compose file and the image name exists: variables, commands, files. Neither is run here."""

import re
from pathlib import Path

import pytest
import yaml

from quimbi_assets.cli import cli

ROOT = Path(__file__).parents[2]
FILES = {
    name: (ROOT / name).read_text() for name in ("docker-compose.yaml", "Dockerfile", "env.example", ".dockerignore")
}
SETTINGS = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs/reference/settings.md").read_text()))
OF_POSTGRES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(FILES["docker-compose.yaml"])["services"]


def test_every_variable_means_something(services):
    asked = set(re.findall(r"\$\{(\w+)", FILES["docker-compose.yaml"]))
    told = {
        line.lstrip("#").partition("=")[0]
        for line in FILES["env.example"].splitlines()
        if re.match(r"#?[A-Z_]+=", line)
    }
    assert asked <= told
    assert told - asked <= SETTINGS
    assert set(services["quimbi"]["environment"]) <= SETTINGS
    assert set(services["postgres"]["environment"]) == OF_POSTGRES
    of_image = set(re.findall(r"(\w+)=", re.search(r"^ENV .*", FILES["Dockerfile"], re.M)[0]))
    assert of_image - {"PATH"} <= SETTINGS


def test_every_command_is_one(services):
    for program, *arguments in (
        services["quimbi"]["command"],
        re.search(r'^CMD \["(\w+)", "(\w+)"\]', FILES["Dockerfile"], re.M).groups(),
    ):
        assert program == "quimbi"
        assert arguments[0] in cli.commands


def test_images_are_pinned_nobody_is_root_and_nothing_is_open_to_others(services):
    assert re.fullmatch(r"pgvector/pgvector:\d+\.\d+\.\d+-pg18-\w+", services["postgres"]["image"])
    assert set(re.findall(r"^FROM (\S+)", FILES["Dockerfile"], re.M)) == {"python:3.11-slim-trixie"}
    user = re.search(r"^USER (\w+)", FILES["Dockerfile"], re.M)
    assert user[1] != "root"
    assert user.start() < FILES["Dockerfile"].index("CMD")
    assert all(port.startswith("127.0.0.1:") for port in services["postgres"]["ports"])


def test_the_build_is_given_what_it_needs():
    kept = set(re.findall(r"^!(\S+)", FILES[".dockerignore"], re.M))
    linked = {
        str(path.resolve().relative_to(ROOT)) for path in (ROOT / "quimbi_assets").rglob("*") if path.is_symlink()
    }
    assert {"quimbi_assets", "pyproject.toml", "README.md", "requirements.lock", *linked} == kept
    assert all((ROOT / name).exists() for name in kept)
    home = re.search(r"QUIMBI_HOME=(\S+)", FILES["Dockerfile"])[1]
    assert f"home:{home}" in yaml.safe_load(FILES["docker-compose.yaml"])["services"]["quimbi"]["volumes"]
