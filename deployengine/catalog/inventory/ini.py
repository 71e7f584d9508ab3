"""Ansible's inventories in INI."""

from __future__ import annotations

import ast
import re
import shlex
import warnings

from deployengine.catalog.inventory.hosts import hosts
from deployengine.catalog.inventory.listing import ALL, UNGROUPED, Listing, Place, Value, Variables
from deployengine.catalog.ranges import BadRange
from deployengine.catalog.wording import unknown

_SECTION = re.compile(r"\[(?P<group>[^:\]\s]+)(?::(?P<kind>\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"(?P<group>[^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")

#: Longer values are texts; no number or quoted text that anybody means is as long.
_LONGEST_LITERAL = 1000


def read(text: str, file: str) -> Listing:
    """The hosts and groups of such a text."""
    return _Reading(file).read(text)


class _Reading:
    def __init__(self, file: str) -> None:
        self._listing = Listing(file)
        self._place = Place(file, 1)
        self._declared = {ALL, UNGROUPED}
        self._named: list[tuple[str, Place]] = []

    def read(self, text: str) -> Listing:
        group, kind = UNGROUPED, "hosts"
        for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
            self._place = Place(self._listing.file, number)
            if not line or line[0] in ";#":
                continue
            if section := _SECTION.fullmatch(line):
                group, kind = section["group"], section["kind"] or "hosts"
                self._begin(group, kind)
            elif line.startswith("[") and line.endswith("]"):
                self._fault(
                    "this begins no section: write [group], [group:children] or [group:vars]"
                )
            elif kind == "hosts":
                self._hosts(line, group)
            elif kind == "children":
                self._child(line, group)
            elif kind == "vars":
                self._variable(line, group)
        for named, place in self._named:
            if named not in self._declared:
                self._listing.faults.append(place.fault(unknown("group", named, self._declared)))
        return self._listing

    def _begin(self, group: str, kind: str) -> None:
        if kind not in _KINDS:
            self._fault(unknown("kind of section", kind, _KINDS))
            return
        self._listing.group(group, self._place)
        if kind == "vars":
            self._named.append((group, self._place))
        else:
            self._declared.add(group)

    def _hosts(self, line: str, group: str) -> None:
        try:
            written, *said = shlex.split(line, comments=True)
        except ValueError:
            self._fault("the quotes do not match")
            return
        try:
            names, port = hosts(written)
        except BadRange as error:
            self._fault(str(error))
            return
        of = self._listing.groups.get(group) or self._listing.group(group, self._place)
        for name in names:
            host = self._listing.add(of, name, Place(self._place.file, self._place.line, name))
            if port is not None:
                host.variables["ansible_port"] = self._value(port, name)
            self._variables(said, host.variables, name)

    def _variables(self, said: list[str], variables: Variables, host: str) -> None:
        for word in said:
            name, equals, text = word.partition("=")
            if not equals:
                self._fault("behind a host there is room for name=value only")
                return
            variables[name] = self._value(text, host)

    def _child(self, line: str, group: str) -> None:
        found = _GROUP.fullmatch(line)
        if found is None:
            self._fault("here a group is named, and nothing else")
            return
        child = found["group"]
        self._listing.group(child, self._place)
        self._listing.groups[group].children.setdefault(child, self._place)
        self._named.append((child, self._place))

    def _variable(self, line: str, group: str) -> None:
        name, equals, text = line.partition("=")
        if not equals:
            self._fault("here variables are said as name=value")
            return
        variables = self._listing.groups[group].variables
        variables[name.strip()] = self._value(text.strip(), group)

    def _value(self, text: str, of: str) -> Value:
        """Ansible takes what looks like a literal of Python for one."""
        line = self._place.line or 1
        literal = _literal(text)
        if isinstance(literal, list | tuple | dict | set):
            return Value(None, self._place.file, line, of, nested=True)
        if isinstance(literal, str | int | float):
            text = str(literal)
        return Value(None if literal is None else text, self._place.file, line, of)

    def _fault(self, message: str) -> None:
        self._listing.faults.append(self._place.fault(message))


def _literal(text: str) -> object:
    """What the text is as a literal of Python, else the text."""
    if len(text) > _LONGEST_LITERAL:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
