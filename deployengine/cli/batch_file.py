"""Batch files: YAML or CSV rows of project, version, perhaps channel and packages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import yaml

from deployengine.cli.package_versions import each_once, read_version
from deployengine.domain.errors import Fault, InvalidInput, did_you_mean, nearest
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted

COLUMNS = ("project", "version", "channel", "packages")


def read_batch(path: Path) -> tuple[list[Row], list[Fault]]:
    """The rows of a batch file, and what is wrong with the others.

    Raises :class:`InvalidInput` for a file that holds no rows at all.

    A file that ends in ``.csv`` is CSV, with or without a heading; any other is YAML: a list of
    mappings, or of lists in the order of the columns, at the top or under ``releases``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput([Fault(f"cannot read the batch: {reason}", str(path))]) from error
    cells = _csv(text, str(path)) if path.suffix.lower() == ".csv" else _yaml(text, str(path))
    faults: list[Fault] = []
    try:
        rows = [_row(values, str(path), line, faults) for line, values in cells]
    except csv.Error as error:
        raise InvalidInput([Fault(f"this is not CSV: {error}", str(path))]) from error
    if not rows:
        raise InvalidInput([Fault("the batch has no rows", str(path))])
    return [row for row in rows if row is not None], faults


def _row(values: object, file: str, line: int, faults: list[Fault]) -> Row | None:
    found = len(faults)
    if isinstance(values, list):
        if len(values) > len(COLUMNS):
            message = f"{len(values)} columns, at most {len(COLUMNS)} are known"
            faults.append(Fault(message, file, line))
        values = dict(zip(COLUMNS, values, strict=False))
    if not isinstance(values, dict):
        faults.append(Fault("a row names project and version", file, line))
        return None
    for key in values.keys() - set(COLUMNS):
        hint = did_you_mean(nearest(key, COLUMNS))
        faults.append(Fault(f"unknown column {key!r}{'; ' + hint if hint else ''}", file, line))
    said = (values.get(key) for key in COLUMNS[:3])
    project, version, channel = (each.strip() if isinstance(each, str) else "" for each in said)
    try:
        packages = each_once(map(read_version, _packages(values.get("packages"))))
    except ValueError as error:
        faults.append(Fault(str(error), file, line))
        return None
    for key, value in (("project", project), ("version", version)):
        if not value:
            faults.append(Fault(f"{key} is missing", file, line))
    if len(faults) > found:
        return None
    return Row(Wanted(project, version, channel or None, packages), file, line)


def _packages(value: object) -> list[str]:
    """Each as NAME=VERSION: in a text with space between, a list, or a mapping."""
    if isinstance(value, dict):
        return [f"{name}={version}" for name, version in value.items()]
    return [str(each) for each in value] if isinstance(value, list) else str(value or "").split()


def _csv(text: str, file: str) -> Iterator[tuple[int, object]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    rows = ((reader.line_num, cells) for cells in reader if not _says_nothing(cells))
    heading: list[str] | None = None
    for number, (line, cells) in enumerate(rows):
        if number == 0 and len(cells) == 1 and any(sign in cells[0] for sign in ";\t"):
            raise InvalidInput([Fault("columns are separated by commas", file, line)])
        if number == 0 and cells[0].strip().lower() == COLUMNS[0]:
            heading = [cell.strip().lower() for cell in cells]
        elif heading is None:
            yield line, cells
        else:
            beyond = [f"column {n}" for n in range(len(heading) + 1, len(cells) + 1)]
            yield line, dict(zip([*heading, *beyond], cells, strict=False))


def _says_nothing(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#")


def _yaml(text: str, file: str) -> Iterator[tuple[int, object]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or error
        raise InvalidInput([Fault(f"this is not YAML: {problem}", file, line)]) from error
    if isinstance(node, yaml.MappingNode):
        node = next((value for key, value in node.value if key.value == "releases"), node)
    if node is not None and not isinstance(node, yaml.SequenceNode):
        message = "a batch is a list of rows, each with project and version"
        raise InvalidInput([Fault(message, file, node.start_mark.line + 1)])
    for item in node.value if node is not None else ():
        yield item.start_mark.line + 1, _as_written(item)


def _as_written(node: yaml.Node) -> object:
    """A row with its values letter for letter: the version 1.10 is not 1.1, and 010 is not 8."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(value) for value in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(_text(key)): _value(value) for key, value in node.value}
    return None


def _value(node: yaml.Node) -> object:
    """A text, or the packages of a row as a list or mapping."""
    if isinstance(node, yaml.SequenceNode):
        return [_text(value) for value in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(_text(key)): _text(value) for key, value in node.value}
    return _text(node)


def _text(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)
