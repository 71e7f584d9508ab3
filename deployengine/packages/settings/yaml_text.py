"""YAML files, with several documents too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from deployengine.packages.settings.spots import New, Old, Path, Spot, path_of

_BEFORE = re.compile(r"(?:(?:&|!)\S*\s+)*")
_PLAIN = re.compile(r"[A-Za-z][\w /@%+.-]*(?<! )", re.ASCII)
_TAGS = {
    "tag:yaml.org,2002:int": Old.NUMBER,
    "tag:yaml.org,2002:float": Old.NUMBER,
    "tag:yaml.org,2002:bool": Old.FLAG,
    "tag:yaml.org,2002:null": Old.NOTHING,
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: libyaml's where it is there: twenty times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()

#: How a value stands there, beside the styles of YAML itself.
_EMPTY, _BLOCK = "empty", "block"
#: How far before a value its colon is looked for.
_NEAR = 200


@dataclass(slots=True)
class _Open:
    """A list or mapping that has begun."""

    path: Path | None
    start: int
    mapping: bool
    flow: bool
    index: int = 0
    #: In a mapping: the key whose value comes next; ``None``: a key comes next.
    key: Path | None = field(default=None)
    waits: bool = False


def spots_of(text: str) -> list[Spot]:
    """Every value of a YAML text. Raises ``yaml.YAMLError``."""
    return list(_Scan(text).spots())


def check(text: str) -> None:
    """Raises ``yaml.YAMLError`` for what is no YAML, an alias of nothing included."""
    for _document in yaml.compose_all(text, Loader=_LOADER):
        pass


def write(spot: Spot, kind: New, value: str) -> str:
    """The value as YAML, in the style of what stands there where that will do."""
    if kind is New.JSON:
        new = value
    elif spot.style == "'" and value.isprintable():
        new = "'" + value.replace("'", "''") + "'"
    elif spot.style in ("", _EMPTY) and _PLAIN.fullmatch(value) and _kind(value) is Old.TEXT:
        new = value
    else:
        new = '"' + "".join(map(_escaped, value)) + '"'
    if spot.style in (_EMPTY, _BLOCK):
        return f" {new}"
    return f"{new}\n" if spot.style in ("|", ">") else new


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Open] = []
        #: Where the text of the last value ends.
        self._last = 0

    def spots(self) -> Iterator[Spot]:
        for event in yaml.parse(self._text, Loader=_LOADER):
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                yield from self._end(event)
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                yield from self._leaf(event)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        start = _index(event.start_mark)
        if event.flow_style:
            start = self._after_properties(start)
        self._open.append(_Open(self._path(None), start, mapping, bool(event.flow_style)))

    def _end(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> Iterator[Spot]:
        ended = self._open.pop()
        if ended.flow:
            self._last = _index(event.end_mark)
        end = len(self._text[: self._last].rstrip())
        if ended.path:
            style = "flow" if ended.flow else _BLOCK
            yield Spot(ended.path, ended.start, end, Old.COLLECTION, style)

    def _leaf(self, event: yaml.ScalarEvent | yaml.AliasEvent) -> Iterator[Spot]:
        start, end = _index(event.start_mark), _index(event.end_mark)
        if end > start:
            self._last = end
        if isinstance(event, yaml.AliasEvent):
            if path := self._path(None):
                yield Spot(path, start, end, Old.NOTHING)
            return
        path = self._path(event.value)
        if not path:
            return
        start = self._after_properties(start, end)
        if start == end:
            # A key alone, as in {key}, has no place for a value.
            if self._text[max(start - _NEAR, 0) : start].rstrip().endswith((":", "-")):
                yield Spot(path, start, end, Old.NOTHING, _EMPTY)
            return
        plain = not event.style and event.tag is None
        old = _kind(event.value) if plain else Old.TEXT
        yield Spot(path, start, end, old, event.style or "")

    def _after_properties(self, start: int, end: int | None = None) -> int:
        """Where a value itself begins, behind its anchor and tag."""
        found = _BEFORE.match(self._text, start, len(self._text) if end is None else end)
        return found.end() if found else start

    def _path(self, key: str | None) -> Path | None:
        """The path of the value that comes now; ``None`` if it is a key, or none has it."""
        if not self._open:
            return ()
        around = self._open[-1]
        if not around.mapping:
            around.index += 1
            return None if around.path is None else (*around.path, str(around.index - 1))
        if not around.waits:
            around.waits = True
            around.key = None if key is None else path_of(key)
            return None
        around.waits = False
        if around.path is None or around.key is None:
            return None
        return (*around.path, *around.key)


def _kind(plain: str) -> Old:
    tag = _RESOLVER.resolve(yaml.ScalarNode, plain, (True, False))  # type: ignore[no-untyped-call]
    return _TAGS.get(str(tag), Old.TEXT)


def _index(mark: Any) -> int:
    """Marks have one; the types of the library say that they may be missing."""
    return int(mark.index)


def _escaped(sign: str) -> str:
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"
