"""Ansible's inventories in YAML."""

from __future__ import annotations

from dataclasses import replace

import yaml

from deployengine.catalog.inventory import nodes
from deployengine.catalog.inventory.hosts import hosts
from deployengine.catalog.inventory.listing import Group, Listing, Place, Unreadable, Variables
from deployengine.catalog.ranges import BadRange
from deployengine.catalog.wording import unknown_key
from deployengine.domain.errors import nearest

_KEYS = ("hosts", "children", "vars")

#: More groups and hosts, once all aliases are followed, are none that anybody means.
MOST_PARTS = 200_000


def read(node: yaml.Node, file: str) -> Listing:
    """The hosts and groups of such a document. Raises :class:`Unreadable`."""
    reading = _Reading(file)
    for name, group in reading.inside(node, "an inventory"):
        reading.group(name, group)
    return reading.listing


class _Reading:
    def __init__(self, file: str) -> None:
        self.listing = Listing(file)
        self._inside: set[int] = set()
        self._parts = 0

    def group(self, name: yaml.ScalarNode, node: yaml.Node) -> None:
        """A group with all that is in it."""
        found = self.listing.group(name.value, self._place(name))
        if id(node) in self._inside:
            self._fault(node, "an alias stands inside what it names")
            return
        self._inside.add(id(node))
        for key, inner in self.inside(node, "a group"):
            if key.value == "hosts":
                self._hosts(found, inner)
            elif key.value == "children":
                for child, each in self._names(inner, "children"):
                    found.children.setdefault(child.value, self._place(child))
                    self.group(child, each)
            elif key.value == "vars":
                self._variables(inner, found.variables, found.name)
            else:
                self._unknown(key)
        self._inside.discard(id(node))

    def inside(self, node: yaml.Node, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """What a mapping holds, which may be nothing. Raises :class:`Unreadable`."""
        if nodes.is_empty(node):
            return []
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{what} must be a mapping: write each name with a colon behind it")
            return []
        found = list(nodes.pairs(node))
        self._parts += len(found)
        if self._parts > MOST_PARTS:
            message = f"there are more than {MOST_PARTS} parts once its aliases are written out"
            raise Unreadable(self._place(node).fault(message))
        return found

    def _names(self, node: yaml.Node, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """What a mapping of names holds; one name may stand alone."""
        if isinstance(node, yaml.ScalarNode) and not nodes.is_empty(node):
            return [(node, nodes.NOTHING)]
        return self.inside(node, what)

    def _hosts(self, group: Group, node: yaml.Node) -> None:
        for written, said in self._names(node, "hosts"):
            try:
                names, port = hosts(written.value)
            except BadRange as error:
                self._fault(written, str(error))
                continue
            for name in names:
                host = self.listing.add(group, name, self._place(written, name))
                if port is not None:
                    place = nodes.value(written, self.listing.file, name)
                    host.variables["ansible_port"] = replace(place, text=port)
                self._variables(said, host.variables, name)

    def _variables(self, node: yaml.Node, variables: Variables, of: str) -> None:
        for key, said in self.inside(node, "what is said of it"):
            variables[key.value] = nodes.value(said, self.listing.file, of)

    def _unknown(self, key: yaml.ScalarNode) -> None:
        """Ansible passes over such keys, and people use them as a place for anchors."""
        fault = self._place(key).fault(unknown_key(key.value, _KEYS))
        slip = nearest(key.value, _KEYS) is not None
        (self.listing.faults if slip else self.listing.warnings).append(fault)

    def _place(self, node: yaml.Node, what: str | None = None) -> Place:
        return Place(self.listing.file, nodes.line(node), what)

    def _fault(self, node: yaml.Node, message: str) -> None:
        self.listing.faults.append(self._place(node).fault(message))
