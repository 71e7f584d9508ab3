"""The JSON that ``ansible-inventory --list`` prints, and any inventory script."""

from __future__ import annotations

import yaml

from deployengine.catalog.inventory import nodes
from deployengine.catalog.inventory.listing import ALL, Group, Listing, Place, Variables

#: Where the variables of all hosts stand together.
META = "_meta"


def read(node: yaml.Node, file: str) -> Listing:
    """The hosts and groups of such a document. Raises :class:`Unreadable`."""
    reading = _Reading(file)
    if not isinstance(node, yaml.MappingNode):
        reading.fault(node, "an inventory must be a mapping of groups")
    groups = {name.value: (name, said) for name, said in nodes.pairs(node)}
    meta = groups.pop(META, None)
    # From the top downwards, as Ansible goes, and not in the alphabet's order.
    ahead = [*reversed(groups), ALL]
    while ahead:
        if found := groups.pop(ahead.pop(), None):
            ahead += reversed(reading.group(*found).children)
    if meta:
        reading.meta(meta[1])
    return reading.listing


class _Reading:
    def __init__(self, file: str) -> None:
        self.listing = Listing(file)

    def meta(self, node: yaml.Node) -> None:
        """What is said of each host; its groups say which hosts there are."""
        for key, said in nodes.pairs(node):
            if key.value == "hostvars":
                for host, variables in nodes.pairs(said):
                    found = self.listing.host(host.value, self._place(host, host.value))
                    found.place = self._place(host, host.value)
                    self._variables(variables, found.variables, host.value)

    def group(self, name: yaml.ScalarNode, node: yaml.Node) -> Group:
        """A group, which may be a bare list of its hosts."""
        group = self.listing.group(name.value, self._place(name))
        if isinstance(node, yaml.SequenceNode):
            self._hosts(node, group)
        elif not isinstance(node, yaml.MappingNode):
            self.fault(node, "a group must be a mapping with hosts, children and vars")
        for key, said in nodes.pairs(node):
            if key.value == "hosts":
                self._hosts(said, group)
            elif key.value == "children":
                for child in self._names(said):
                    group.children.setdefault(child.value, self._place(child))
            elif key.value == "vars":
                self._variables(said, group.variables, group.name)
        return group

    def fault(self, node: yaml.Node, message: str) -> None:
        """Tells what is wrong with a part."""
        self.listing.faults.append(self._place(node).fault(message))

    def _hosts(self, node: yaml.Node, group: Group) -> None:
        for host in self._names(node):
            self.listing.add(group, host.value, self._place(host, host.value))

    def _names(self, node: yaml.Node) -> list[yaml.ScalarNode]:
        said = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [each for each in said if isinstance(each, yaml.ScalarNode)]
        if len(found) < len(said):
            self.fault(node, "this must be a list of names")
        return found

    def _variables(self, node: yaml.Node, variables: Variables, of: str) -> None:
        for key, said in nodes.pairs(node):
            variables[key.value] = nodes.value(said, self.listing.file, of)

    def _place(self, node: yaml.Node, what: str | None = None) -> Place:
        return Place(self.listing.file, nodes.line(node), what)
