"""What a package step runs on a machine: the script that brings its package into use there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from deployengine.domain.environment import Machine
from deployengine.domain.insertion import Insertion, Plain, insert
from deployengine.domain.package import Package
from deployengine.domain.planning import Unseal
from deployengine.domain.project import Step
from deployengine.domain.variables import key, system_variables
from deployengine.packages.configuration import Configuration, Wanted, configure
from deployengine.packages.errors import BadArchive
from deployengine.packages.recipe import Installation, script


class Archives(Protocol):
    """Has archives of packages at hand here."""

    def fetch(self, package: Package) -> Path:
        """The archive, brought unless it is here."""

    def suspect(self, package: Package) -> None:
        """It was found damaged: if it is so here, it is brought anew next time."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The script, and the values that it is to find."""

    script: Insertion = field(repr=False)
    values: Mapping[str, Plain] = field(repr=False)


class Installations:
    """Prepares package steps; ``workdir_of`` is the folder of a machine's scripts."""

    def __init__(
        self, archives: Archives, workdir_of: Callable[[Machine], str], unseal: Unseal
    ) -> None:
        self._archives = archives
        self._workdir_of = workdir_of
        self._unseal = unseal

    def prepare(
        self, package: Package, step: Step, machine: Machine, values: Mapping[str, Plain]
    ) -> Prepared:
        """Works out the files with values in them, if there are any, and the script with these.

        Raises ``PackageError``, and as ``insert`` where the folder cannot be worked out.
        """
        into = insert(step.into, values)
        values = {**values, **self._place(into, machine)}
        wanted = Wanted(step.substitute, step.settings)
        configuration = Configuration()
        if wanted:
            configuration = self._configured(package, wanted, values)
        installation = Installation(package, configuration, into.text, step.keep)
        text = script(installation, self._unseal.fingerprint)
        secrets = configuration.secrets | into.secrets
        return Prepared(Insertion(text, bool(secrets), secrets), values)

    def _configured(
        self, package: Package, wanted: Wanted, values: Mapping[str, Plain]
    ) -> Configuration:
        try:
            return configure(self._archives.fetch(package), str(package), wanted, values)
        except BadArchive:
            self._archives.suspect(package)
            return configure(self._archives.fetch(package), str(package), wanted, values)

    def _place(self, into: Insertion, machine: Machine) -> Mapping[str, Plain]:
        """The variable that says where versions lie: known here as far as the workdir is."""
        folder = PurePosixPath(self._workdir_of(machine), into.text)
        named = system_variables(into=str(folder))
        literal = {name: text.replace("#{", "##{") for name, text in named.items()}
        return {key(n): Plain(n, text, sensitive=into.sensitive) for n, text in literal.items()}
