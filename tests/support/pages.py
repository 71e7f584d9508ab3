"""The tables of the documents, so that tests can hold the program to them."""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def table(page: str, *heading: str) -> list[tuple[str, ...]]:
    """The rows of the one table of a page with this heading; there must be such a table."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    at = lines.index(f"| {' | '.join(heading)} |")
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    return rows


def code(cell: str) -> str:
    """What stands in a cell between backquotes; what is written as a text of JSON is read so."""
    text = cell.removeprefix("`").removesuffix("`").replace("\\|", "|")
    try:
        read = json.loads(text)
    except ValueError:
        return text
    return read if isinstance(read, str) else text
