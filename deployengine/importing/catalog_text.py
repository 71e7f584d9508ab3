"""A catalog as YAML, with its notes as comments above what they are about."""

from __future__ import annotations

import re
import textwrap
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from deployengine.importing.report import Entry, Items

#: Texts that every reader of YAML takes for the same without quotes.
_PLAIN = re.compile(r"[^\W\d](?:[\w .()/+-]*[\w)/])?")

_WIDTH = 96
_STEP = 2


def catalog_text(catalog: Entry, head: str) -> str:
    """The YAML of a catalog; ``head`` and the catalog's own notes stand at its top.

    Reading it gives back every text exactly, whatever characters are in it.
    """
    yaml = YAML()
    yaml.indent(mapping=_STEP, sequence=2 * _STEP, offset=_STEP)
    yaml.width = 1_000_000  # a folded line is a text that nobody finds again
    top = _mapping(catalog, 0)
    stream = StringIO()
    for line in _comment([head, *catalog.notes], 0).split("\n"):
        stream.write(f"# {line}".rstrip() + "\n")
    stream.write("\n")
    yaml.dump(top, stream)
    return stream.getvalue()


def _node(value: Any, column: int) -> Any:
    if isinstance(value, dict):
        return _mapping(value, column) if isinstance(value, Entry) else _flow_mapping(value)
    if isinstance(value, Items):
        return _sequence(value, column)
    if isinstance(value, list):
        return _flow_sequence(value)
    return _scalar(value) if isinstance(value, str) else value


def _mapping(entry: Entry, column: int) -> CommentedMap:
    """Notes of a list stand above its key, those of a mapping above its place in a list."""
    made = CommentedMap()
    for key, value in entry.items():
        if value is None or (isinstance(value, list) and not value and not _notes(value)):
            continue
        made[key] = _node(value, column + _STEP)
        if notes := _notes(value):
            made.yaml_set_comment_before_after_key(
                key, before=_comment(notes, column), indent=column
            )
    return made


def _sequence(items: Items, column: int) -> CommentedSeq:
    made = CommentedSeq(_node(item, column + _STEP) for item in items)
    for index, item in enumerate(items):
        if notes := _notes(item):
            made.yaml_set_comment_before_after_key(
                index, before=_comment(notes, column), indent=column
            )
    if not items:
        made.fa.set_flow_style()
    return made


def _flow_mapping(value: dict[str, Any]) -> CommentedMap:
    made = CommentedMap((key, _node(each, 0)) for key, each in value.items())
    made.fa.set_flow_style()
    return made


def _flow_sequence(value: list[Any]) -> CommentedSeq:
    made = CommentedSeq(_node(each, 0) for each in value)
    made.fa.set_flow_style()
    return made


def _scalar(text: str) -> Any:
    """A script as the block that it is; a text with anything unseen in it with escapes."""
    lines = text.split("\n")
    if not all(line.replace("\t", " ").isprintable() for line in lines):
        return DoubleQuotedScalarString(text)
    if len(lines) > 1 and not text.startswith((" ", "\n", "\t")) and not text.endswith("\n\n"):
        # A block that begins with space would not know its own indent; of several blank lines at
        # its end the writer makes one more.
        return LiteralScalarString(text)
    return text if _PLAIN.fullmatch(text) else DoubleQuotedScalarString(text)


def _notes(value: Any) -> list[str]:
    return value.notes if isinstance(value, Entry | Items) else []


def _comment(notes: list[str], column: int) -> str:
    """The notes, each on lines of its own, nothing in them that could end a comment."""
    lines: list[str] = []
    for note in notes:
        for line in note.splitlines() or [""]:
            seen = "".join(char if char.isprintable() else "?" for char in line)
            lines += textwrap.wrap(seen, _WIDTH - column, break_on_hyphens=False) or [""]
    return "\n".join(lines)
