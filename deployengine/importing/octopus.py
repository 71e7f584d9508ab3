"""From an export of Octopus to the text of a catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployengine.domain.errors import RequestError
from deployengine.importing.catalog_text import catalog_text
from deployengine.importing.conversion import convert
from deployengine.importing.documents import Kind, documents
from deployengine.importing.export import Export
from deployengine.importing.report import Loss
from deployengine.importing.source import files

_HEAD = """\
Made by `deployengine import octopus`. Comments tell what is not as it was in Octopus.
Every machine runs its scripts on this host, in a folder of its own: read them before you deploy."""

_ADVICE = (
    "give the folder of Octopus.Migrator, the zip of Export/Import Projects, the file of octo "
    "export, or a folder with answers of the REST API"
)

#: JSON can name one half of a pair that makes up a character.
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Imported:
    """The catalog's text, what could not be carried over, and how many items each section has."""

    text: str = field(repr=False)
    losses: Sequence[Loss] = field(repr=False)
    counts: Mapping[str, int]


def import_octopus(path: Path) -> Imported:
    """Reads an export of Octopus: a folder, a zip, or one JSON file.

    Raises :class:`RequestError` when there is none or it holds no project or environment, and
    :class:`InvalidInput` with every broken file, or every id that is referred to and not there.
    """
    found = files(path)
    export = Export(documents(found))
    for kind in (Kind.PROJECT, Kind.ENVIRONMENT):
        if not any(kind is Kind.ENVIRONMENT or not each.reference for each in export.of(kind)):
            raise RequestError(f"holds no {kind} of Octopus", str(path), _ADVICE)
    converted = convert(export, found)
    catalog = converted.catalog
    text = catalog_text(catalog, _HEAD)
    if not text.isascii() and _HALF.search(text):
        raise RequestError("holds half of a character, which no file can hold", str(path))
    return Imported(
        text,
        tuple(converted.report.losses),
        {section: len(items) for section, items in catalog.items()},
    )
