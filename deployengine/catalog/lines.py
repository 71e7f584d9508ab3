"""YAML with its lines: what a file says, and on which line each part of it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from deployengine.catalog.scalars import TAG, Loader, Swallowed, scalar
from deployengine.domain.errors import Fault

Path = tuple[str | int, ...]

#: The most values that a file may hold once its aliases are written out.
MOST_NODES = 1_000_000

#: What is told where a comment swallows what was meant as text.
SWALLOWED = (
    "here #{ begins a comment, as # does in YAML behind a space, and the rest of the line is lost; "
    "write the text in quotes, or as a block after |"
)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain ``data`` and the line of each path in it, counted from 1."""

    file: str
    data: Any = field(repr=False)
    lines: dict[Path, int] = field(repr=False)

    def fault(self, path: Path, message: str) -> Fault:
        """A fault at this path, or at the nearest part around it that the file spells out."""
        known = path
        while known not in self.lines and known:
            known = known[:-1]
        return Fault(message, self.file, self.lines.get(known, 1), written(known) or None)


def written(path: Path) -> str:
    """The path as people write it: ``projects[0].process[1].roles[0]``."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def read(content: bytes, file: str) -> tuple[list[Document], list[Fault], bool]:
    """The documents of a file, what is wrong with its YAML, and whether it was read to its end."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [Fault("the file is not UTF-8", file, line)], False
    lost: dict[int, Swallowed] = {}
    documents, faults, whole = _documents(text, file, lost)
    return (
        documents,
        [*faults, *(Fault(SWALLOWED, file, line) for line, each in lost.items() if not each.alone)],
        whole,
    )


def _documents(
    text: str, file: str, lost: dict[int, Swallowed]
) -> tuple[list[Document], list[Fault], bool]:
    documents: list[Document] = []
    faults: list[Fault] = []
    try:
        for node in _compose(text, lost):
            reading = _Reading(file, faults, lost)
            data = reading.value(node, ())
            documents.append(Document(file, data, reading.lines))
    except RecursionError:
        return documents, [*faults, Fault("wrong YAML: nested too deeply", file, 1)], False
    except _Unreadable as error:
        return documents, [*faults, Fault(str(error), file, error.line)], False
    return documents, faults, True


class _Unreadable(Exception):
    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


def _compose(text: str, lost: dict[int, Swallowed]) -> Iterator[yaml.Node]:
    try:
        loader = Loader(text, lost)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise _Unreadable(f"wrong YAML: {said}", mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Unreadable("wrong YAML: a control character", line) from error


class _Reading:
    """Turns the nodes of one document into plain data, noting lines and faults on the way."""

    def __init__(self, file: str, faults: list[Fault], lost: Mapping[int, Swallowed]) -> None:
        self.lines: dict[Path, int] = {}
        self._file = file
        self._faults = faults
        self._lost = lost
        self._inside: set[int] = set()
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self._nodes > MOST_NODES:
            raise _Unreadable("wrong YAML: too large once its aliases are written out", line)
        if id(node) in self._inside:
            raise _Unreadable("wrong YAML: an alias stands inside what it names", line)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._inside.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return self._sequence(node, path)
        finally:
            self._inside.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if not node.value and (meant := self._lost.get(node.start_mark.line + 1)):
            if meant.alone:
                self._faults.append(Fault(SWALLOWED, self._file, node.start_mark.line + 1))
            return meant.text  # so that it is not told again as a missing value
        try:
            return scalar(node)
        except KeyError:
            self._fault(path, node, f"the YAML tag {node.tag} is not known here")
        except ValueError:
            self._fault(path, node, f"this is no {node.tag.removeprefix(TAG)}")
        return None

    def _sequence(self, node: yaml.Node, path: Path) -> list[Any]:
        if node.tag != TAG + "seq":
            self._fault(path, node, f"the YAML tag {node.tag} is not known here")
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        if node.tag != TAG + "map":
            self._fault(path, node, f"the YAML tag {node.tag} is not known here")
        found: dict[str, Any] = {}
        for key, value in self._pairs(node, path):
            at = (*path, key.value)
            if key.value in found:
                first = self.lines[at]
                self._fault(at, key, f"the key {key.value!r} stands here twice (line {first})")
                continue
            self.lines[at] = key.start_mark.line + 1
            found[key.value] = self.value(value, at)
        return found

    def _pairs(
        self, node: yaml.MappingNode, path: Path
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Its own keys, then those of the mappings that it merges in and does not override."""
        merged: list[yaml.Node] = []
        own: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(path, key, "a key must be a text")
            elif key.tag == TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                own.add(key.value)
                yield key, value
        for other in merged:
            if not isinstance(other, yaml.MappingNode) or id(other) in self._inside:
                self._fault(path, other, "only a mapping can be merged in with <<")
                continue
            for key, value in self._pairs(other, path):
                if key.value not in own:
                    own.add(key.value)
                    yield key, value

    def _fault(self, path: Path, node: yaml.Node, message: str) -> None:
        line = node.start_mark.line + 1
        self._faults.append(Fault(message, self._file, line, written(path) or None))
