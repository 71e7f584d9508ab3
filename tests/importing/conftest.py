"""What the tests of importing have at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.catalog import load
from deployengine.importing import import_octopus
from tests.importing.octopus import Document, Made, as_folder

Make = Callable[[list[Document]], Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Imports documents; what comes of them must be a catalog that can be applied."""

    def make(documents: list[Document]) -> Made:
        made = Made(import_octopus(as_folder(documents, tmp_path / "export")))
        file = tmp_path / "catalog.yaml"
        file.write_text(made.text, encoding="utf-8")
        load([file])
        return made

    return make
