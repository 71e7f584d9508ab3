"""The files of ``config/`` are found from the source tree, and are what they are said to be."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from deployengine.catalog import load
from deployengine.settings import Settings
from deployengine.shipped import shipped

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "name", ["settings.yaml", "catalog.schema.json", "starter", "scenario/catalog.yaml"]
)
def test_what_commands_ask_for_is_there(name: str) -> None:
    assert shipped(name).exists()


def test_the_shipped_settings_file_is_one_that_the_engine_reads(tmp_path: Path) -> None:
    settings = Settings.read({}, tmp_path, shipped("settings.yaml"))
    assert settings.task_cap == 5


@pytest.mark.parametrize("name", ["starter", "scenario"])
def test_the_shipped_catalogs_are_sound(name: str) -> None:
    assert load([shipped(name)]).of("project")


def test_the_shipped_schema_is_json() -> None:
    assert json.loads(shipped("catalog.schema.json").read_text("utf-8"))["type"] == "object"


def test_a_wheel_carries_the_folder_where_it_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["config"] == "deployengine/config"
