"""The page on steps that use a tool: its examples run what it says that they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployengine.catalog.tools import USES
from deployengine.domain.tools import Tool, tool_of
from tests.recipes import fakes
from tests.recipes.conftest import Place, secrets, values

PAGE = (Path(__file__).parents[2] / "docs" / "steps.md").read_text(encoding="utf-8")
VALUES = {
    **values(Port="8080", **{"Octopus.Release.Number": "1.0"}),
    **secrets(Token="s3cret"),
}


def part(kind: str) -> str:
    """What the page says of one kind."""
    return PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]


def blocks(kind: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"(?s)```{language}\n(.*?)```", part(kind))


def example(kind: str, **more: Any) -> Tool:
    (step,) = yaml.safe_load(next(blocks(kind, "yaml")))
    tool = tool_of({**step, **more})
    assert tool is not None
    return tool


def told(kind: str, place: Place) -> list[str]:
    """The commands of the page, in order, as they look on this machine."""
    lines = "".join(blocks(kind, "sh")).splitlines()
    return [line.replace("TICKET", str(place.ticket)) for line in lines]


@pytest.mark.parametrize("kind", USES)
def test_the_page_has_every_key_of_each_kind(kind: str) -> None:
    named = set(re.findall(r"`(\w+)[:`]", part(kind)))
    assert set(USES[kind].model_fields) - named == set()


def noting(place: Place, name: str, end: str) -> Path:
    """A program that notes its words."""
    calls = place.folder / "calls"
    place.program(name, f'#!/bin/sh\necho "{name} $*" >> {calls}\n{end}\n')
    return calls


def test_curl_is_called_as_the_page_says(dash: Place) -> None:
    calls = noting(dash, "curl", 'echo ready > "$9"; printf 200')
    dash.install("printf")
    done = dash.carry_out(example("http"), VALUES)
    assert (done.returncode, done.stderr) == (0, "")
    assert calls.read_text().splitlines() == told("http", dash)


def test_systemctl_and_journalctl_are_called_as_the_page_says(dash: Place) -> None:
    systemd = fakes.put("systemctl", dash.bin, "systemctl", "journalctl")
    systemd.tell(
        units={
            "shop.service": {"states": [["failed", ""]]},
            "shop-worker": {"states": [["active", "a"]]},
        }
    )
    assert dash.carry_out(example("systemd"), VALUES).returncode == 1
    assert systemd.calls() == told("systemd", dash)


def test_compose_is_called_as_the_page_says(dash: Place) -> None:
    docker = fakes.put("docker", dash.bin)
    docker.tell(compose="v2", services={"web": {"states": [["running", "", 0]]}})
    assert dash.carry_out(example("docker-compose"), VALUES).returncode == 0
    asked = ("docker compose version", "docker compose up --help")
    assert [c for c in docker.calls() if c not in asked] == told("docker-compose", dash)


def test_ansible_is_called_as_the_page_says(dash: Place) -> None:
    calls = noting(dash, "ansible-playbook", ":")
    assert dash.carry_out(example("ansible"), VALUES).returncode == 0
    assert calls.read_text().splitlines() == told("ansible", dash)
