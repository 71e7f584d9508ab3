"""What an inventory lists: hosts, the groups that they are in, and what is said of either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from deployengine.domain.errors import Fault

#: The group that every host is in, and that of those which are in no other.
ALL, UNGROUPED = "all", "ungrouped"

#: More hosts than this are none that anybody means.
MOST_HOSTS = 50_000

_PRIORITY = "ansible_group_priority"


class Unreadable(Exception):
    """Nothing can be made of the file; ``fault`` says what is wrong, and where."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1, and what stands there."""

    file: str
    line: int | None = None
    what: str | None = None

    def fault(self, message: str) -> Fault:
        """A fault there."""
        return Fault(message, self.file, self.line, self.what)


@dataclass(frozen=True, slots=True)
class Value:
    """What is said of a variable: its text, ``None`` where it is emptied.

    ``hidden``: it is encrypted. ``nested``: it is a list or a mapping, and no text. ``of`` is the
    host or the group that it is said of. The repr leaves the text out, since it may be a secret.
    """

    text: str | None = field(repr=False)
    file: str
    line: int
    of: str
    hidden: bool = False
    nested: bool = False

    def place(self, variable: str) -> Place:
        """Where it stands."""
        return Place(self.file, self.line, f"{self.of}: {variable}")


Variables = dict[str, Value]


@dataclass(slots=True)
class Host:
    """A host; ``beside`` are variables from the folder ``host_vars``, which win over its own."""

    name: str
    place: Place
    variables: Variables = field(default_factory=dict)
    beside: Variables = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """A group; ``beside`` are variables from the folder ``group_vars``, which win over its own.

    ``hosts`` and ``children`` bear the place where they are said to belong to it.
    """

    name: str
    place: Place
    hosts: dict[str, Place] = field(default_factory=dict)
    children: dict[str, Place] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)
    beside: Variables = field(default_factory=dict)

    @property
    def priority(self) -> int:
        """Of two groups of the same depth the one with the higher priority wins."""
        said = self.variables.get(_PRIORITY)
        try:
            return int(said.text) if said and said.text else 1
        except ValueError:
            return 1


@dataclass
class Listing:
    """All of an inventory. ``faults`` forbid its use, ``warnings`` do not."""

    file: str
    hosts: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def host(self, name: str, place: Place) -> Host:
        """The host of that name, which is new at this place if there was none.

        Raises :class:`Unreadable` when there are too many.
        """
        if len(self.hosts) >= MOST_HOSTS and name not in self.hosts:
            raise Unreadable(place.fault(f"there are more than {MOST_HOSTS} hosts"))
        return self.hosts.setdefault(name, Host(name, place))

    def group(self, name: str, place: Place) -> Group:
        """The group of that name, which is new at this place if there was none."""
        return self.groups.setdefault(name, Group(name, place))

    def add(self, group: Group, host: str, place: Place) -> Host:
        """Puts a host into a group."""
        group.hosts.setdefault(host, place)
        return self.host(host, place)

    def groups_of(self, host: str) -> tuple[Group, ...]:
        """The groups that a host is in, ``all`` included; what is said later wins.

        That is Ansible's order: those that contain others first, then by priority and by name.
        """
        return self._groups_of_hosts.get(host, self._of_nobody)

    def variables_of(self, host: str) -> Variables:
        """What is said of a host in the end, by itself and by its groups."""
        groups = self.groups_of(host)
        every, others = groups[:1], groups[1:]
        found: Variables = {}
        for group in groups:
            found |= group.variables
        for group in (*every, *others):
            found |= group.beside
        return found | self.hosts[host].variables | self.hosts[host].beside

    def cycles(self) -> Iterator[Fault]:
        """Groups that contain themselves. The rest is of use only where there are none."""
        parents = self._parents()
        try:
            TopologicalSorter(parents).prepare()
        except CycleError as error:
            cycle = error.args[1]
            for group, child in pairwise(cycle):
                if group in self.groups and child in self.groups[group].children:
                    said = ", ".join(cycle[:-1])
                    yield (
                        self.groups[group]
                        .children[child]
                        .fault(f"a group cannot contain itself, be it by way of others ({said})")
                    )
                    break

    @cached_property
    def _of_nobody(self) -> tuple[Group, ...]:
        return (self.group(ALL, Place(self.file)),)

    @cached_property
    def _groups_of_hosts(self) -> dict[str, tuple[Group, ...]]:
        parents = self._parents()
        depth: dict[str, int] = {}
        above: dict[str, set[str]] = {}
        for name in TopologicalSorter(parents).static_order():
            depth[name] = max((depth[each] + 1 for each in parents[name]), default=0)
            above[name] = {name}.union(*(above[each] for each in parents[name]))
        names: dict[str, set[str]] = {host: {ALL} for host in self.hosts}
        for group in self.groups.values():
            for host in group.hosts:
                names[host] |= above[group.name]
        every = self._of_nobody
        return {
            host: every
            + tuple(
                sorted(
                    (self.groups[name] for name in said if name != ALL),
                    key=lambda group: (depth[group.name], group.priority, group.name),
                )
            )
            for host, said in names.items()
        }

    def _parents(self) -> dict[str, list[str]]:
        """The groups right above each group; all but ``all`` are within it."""
        parents = {name: [ALL] if name != ALL else [] for name in (ALL, *self.groups)}
        for group in self.groups.values():
            for child in group.children:
                parents.setdefault(child, [ALL]).append(group.name)
        return parents
