"""The documents say what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from deployengine.cli.main import cli
from deployengine.cli.reference import reference
from deployengine.domain import acquisition
from deployengine.domain.flags import BYPASS
from deployengine.domain.planning import CONCURRENCY_TAG, MAX_PARALLELISM

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("benchmarks/*.md")])


def test_the_reference_of_commands_is_that_of_the_program() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert page == reference(), "python -m deployengine.cli.reference > docs/commands.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if not (page.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:deployengine|workers|tests|config|docs|domain|locks|engine|steps|queue|persistence"
        r"|catalog|benchmarks)/[\w./-]+)`",
        page.read_text(encoding="utf-8"),
    )

    missing = [
        name
        for name in named
        if not any((base / name).exists() for base in (ROOT, ROOT / "deployengine"))
    ]

    assert not missing


def test_the_page_on_the_catalog_names_every_key() -> None:
    page = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w]+", " ".join(re.findall(r"`([^`\n]+)`", page))))

    assert _catalog_keys() - named == set()


def test_every_command_and_key_in_the_table_beside_octopus_exists() -> None:
    page = (ROOT / "docs" / "octopus.md").read_text(encoding="utf-8")
    here = page.partition("## What is not there yet")[0]
    rows = [line.split(" | ") for line in here.splitlines() if line.startswith("| ")]
    named = [span for row in rows[1:] for span in re.findall(r"`([^`]+)`", row[2])]
    commands = [span for span in named if span.startswith("deployengine ")]
    keys = {span.partition(":")[0] for span in named if span not in commands}
    variables = {BYPASS, CONCURRENCY_TAG, MAX_PARALLELISM, acquisition.MAX_PARALLELISM}

    assert [command for command in commands if not _is_command(command)] == []
    assert keys - variables - _catalog_keys() == set()
    assert len(commands) > 30
    assert len(keys) > 40


def _is_command(text: str) -> bool:
    """Whether there is such a command, with all of the options that are named."""
    command: click.Command | None = cli
    words = text.split()[1:]
    while words and isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    if command is None:
        return False
    options = {name for parameter in command.params for name in parameter.opts}
    arguments = {parameter.human_readable_name for parameter in command.params}
    return not isinstance(command, click.Group) and {*words} <= options | arguments


def _catalog_keys() -> set[str]:
    schema = json.loads((ROOT / "config" / "catalog.schema.json").read_text(encoding="utf-8"))
    parts = [schema, *schema["$defs"].values()]
    parts += [variant for part in parts for variant in part.get("anyOf", ())]
    return {key for part in parts for key in part.get("properties", ())}


def test_the_architecture_names_every_room() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [p.parent.name for p in (ROOT / "deployengine").glob("*/__init__.py")]

    assert [room for room in rooms if room not in page] == []


def test_the_readme_begins_with_the_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]

    assert any("deployengine demo" in line for line in first_screen)
    assert any("-m pytest" in line for line in first_screen)


def test_nothing_committed_names_a_path_of_somebodys_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(home|root|Users)/\w", page.read_text(encoding="utf-8")), page
