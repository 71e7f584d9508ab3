"""What a package step runs on a machine: the script that brings its package into use there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deployengine.domain.environment import Machine
from deployengine.domain.insertion import Insertion, Plain, insert
from deployengine.domain.package import Package
from deployengine.domain.planning import Unseal
from deployengine.domain.project import Step
from deployengine.domain.variables import key, system_variables
from deployengine.packages.configuration import Configuration, Wanted, configure
from deployengine.packages.recipe import Installation, script

#: Has the archive of a package at hand here.
Fetch = Callable[[Package], Path]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The script, and the values that it is to find."""

    script: Insertion = field(repr=False)
    values: Mapping[str, Plain] = field(repr=False)


class Installations:
    """Prepares package steps; ``workdir_of`` is the folder of a machine's scripts."""

    def __init__(self, fetch: Fetch, workdir_of: Callable[[Machine], str], unseal: Unseal) -> None:
        self._fetch = fetch
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
            configuration = configure(self._fetch(package), str(package), wanted, values)
        installation = Installation(package, configuration, into.text, step.keep)
        text = script(installation, self._unseal.fingerprint)
        secrets = configuration.secrets | into.secrets
        return Prepared(Insertion(text, bool(secrets), secrets), values)

    def _place(self, into: Insertion, machine: Machine) -> Mapping[str, Plain]:
        """The variable that says where versions lie: known here as far as the workdir is."""
        folder = PurePosixPath(self._workdir_of(machine), into.text)
        named = system_variables(into=str(folder))
        literal = {name: text.replace("#{", "##{") for name, text in named.items()}
        return {key(n): Plain(n, text, sensitive=into.sensitive) for n, text in literal.items()}
