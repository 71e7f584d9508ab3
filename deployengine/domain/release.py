"""Releases: immutable snapshots of everything a deployment of them needs, with a digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deployengine.domain.acquisition import with_acquisition
from deployengine.domain.errors import RequestError
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.package import Package
from deployengine.domain.project import Mutex, Step, steps_of
from deployengine.domain.variables import Source, Variable, key

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}")


#: What a schedule calls the newest release, so that none can bear the name.
LATEST = "latest"


class BadVersion(RequestError):
    """A release number is letters, digits and ``. + _ -``, and begins with a letter or digit."""


def check_version(version: str) -> str:
    """The version without surrounding space; raises :class:`BadVersion`."""
    version = version.strip()
    if not _VERSION.fullmatch(version):
        raise BadVersion(
            f"{version!r} is no release number: use letters, digits and . + _ - (for example 1.4.0)"
        )
    if version.casefold() == LATEST:
        raise BadVersion(
            f"no release can be called {version!r}: a schedule calls the newest one so"
        )
    return version


@dataclass(frozen=True)
class Snapshot:
    """What a release froze: the documents of its process, lifecycle, variables and sets.

    Two snapshots are the same release when their digests are equal. Sealed values take part by
    their keyed fingerprint, since sealing the same secret twice gives two different ciphers.
    """

    document: Mapping[str, Any]

    @classmethod
    def freeze(
        cls,
        project: Mapping[str, Any],
        version: str,
        channel: str | None,
        lifecycle: Lifecycle,
        variable_sets: list[Mapping[str, Any]],
        packages: Iterable[Package] = (),
    ) -> Snapshot:
        """Freezes today's catalog documents; the sets in the order in which they are included."""
        document = {
            "project": project["name"],
            "version": check_version(version),
            "channel": channel,
            "lifecycle": lifecycle.to_document(),
            "variables": list(project.get("variables", ())),
            "variable_sets": variable_sets,
            "process": list(project["process"]),
        }
        if "mutex" in project:
            document["mutex"] = project["mutex"]
        if found := [package.to_document() for package in packages]:
            document["packages"] = found
        return cls(document)

    def with_variables_of(self, today: Snapshot) -> Snapshot:
        """The same release with the variables and sets that another one froze."""
        taken = {key: today.document[key] for key in ("variables", "variable_sets")}
        return Snapshot({**self.document, **taken})

    def differences(self, other: Snapshot) -> list[str]:
        """In what another release froze something else, in words."""
        mine, theirs = _without_ciphers(self.document), _without_ciphers(other.document)
        keys = dict.fromkeys((*mine, *theirs))
        return [k.replace("_", " ") for k in keys if mine.get(k) != theirs.get(k)]

    def definitions(self, name: str) -> tuple[tuple[str, Variable], ...]:
        """Every value of a variable, with the project or set in which it stands."""
        return tuple(
            (source.label, variable)
            for source in self.sources
            for variable in source.variables
            if key(variable.name) == key(name)
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, hexadecimal."""
        text = json.dumps(_without_ciphers(self.document), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def project(self) -> str:
        """The project's name."""
        return str(self.document["project"])

    @property
    def version(self) -> str:
        """The release number."""
        return str(self.document["version"])

    @property
    def channel(self) -> str | None:
        """The channel that picked the lifecycle; ``None`` is the project's own lifecycle."""
        channel: str | None = self.document["channel"]
        return channel

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """The lifecycle as it was when the release was created."""
        return Lifecycle.from_document(self.document["lifecycle"])

    @cached_property
    def process(self) -> tuple[Step, ...]:
        """The steps in order, the children of rolling groups in the place of their group.

        And those that bring its packages to the machines.
        """
        return with_acquisition(steps_of(self.document["process"]))

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """Its packages by their names."""
        found = map(Package.from_document, self.document.get("packages", ()))
        return {package.name: package for package in found}

    @property
    def mutex(self) -> Mutex:
        """How long its deployments hold their machines."""
        return Mutex(self.document.get("mutex", Mutex.STEP))

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Where variables come from: the project first, then the sets as they are included."""
        own = Source(f"project {self.project}", _variables(self.document))
        sets = (
            Source(f"variable set {s['name']}", _variables(s))
            for s in self.document["variable_sets"]
        )
        return (own, *sets)


def _variables(document: Mapping[str, Any]) -> tuple[Variable, ...]:
    return tuple(Variable.from_document(v) for v in document.get("variables", ()))


def _without_ciphers(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {k: _without_ciphers(v) for k, v in node.items() if k not in ("cipher", "key_id")}
    if isinstance(node, list | tuple):
        return [_without_ciphers(v) for v in node]
    return node
