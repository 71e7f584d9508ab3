"""Catalog files for the tests: a small right one, and ways to read a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.catalog import Catalog, load
from deployengine.domain.errors import Fault, InvalidInput

#: A right catalog of 22 lines; tests replace parts of it by wrong ones.
SMALL = """\
environments: [QA, Production]
machines:
  - name: qa-1
    environments: [QA]
    roles: [web]
  - name: prod-[01:03]
    environments: [Production]
    roles: [web, db]
lifecycles:
  - name: auto
    phases:
      - {name: Test, automatic: [QA]}
      - {name: Live, automatic: [Production]}
variable_sets:
  - name: Shared
    variables: []
projects:
  - name: app-[1:2]
    lifecycle: auto
    channels: [{name: hotfix, lifecycle: auto}]
    include: [Shared]
    variables: []
    process:
      - name: Install
        roles: [web]
        script: echo hello
"""

Read = Callable[[str], Catalog]
Faults = Callable[[str], list[Fault]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a text as the file ``catalog.yaml``."""

    def read(text: str) -> Catalog:
        file = tmp_path / "catalog.yaml"
        file.write_text(text, encoding="utf-8")
        return load([file])

    return read


@pytest.fixture
def faults(read: Read) -> Faults:
    """What is wrong with a text; its file is called by its bare name."""

    def faults(text: str) -> list[Fault]:
        with pytest.raises(InvalidInput) as caught:
            read(text)
        return [
            Fault(f.message, Path(f.file or "").name, f.line, f.path) for f in caught.value.faults
        ]

    return faults


def small(old: str = "", new: str = "", *more: str) -> str:
    """The small catalog with a part of it replaced by another, and so on in pairs."""
    text = SMALL
    pairs = [old, new, *more]
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        assert before in text, before
        text = text.replace(before, after, 1)
    return text
