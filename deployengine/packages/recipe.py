"""From a package and its configuration to the script that brings it into use on a machine.

The script is plain text that runs as any other does; what it does stands in ``install.sh``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from deployengine.domain.package import Package
from deployengine.domain.variable_names import INSTALLED
from deployengine.packages.configuration import Configuration, ConfiguredFile

_SCRIPT = Path(__file__).with_name("install.sh")
_HEX = 8

#: Makes of a text what tells it from others and nothing more: there may be secrets in it.
Fingerprint = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be where: ``into`` is the folder, ``keep`` counts the versions before this one."""

    package: Package
    configuration: Configuration
    into: str
    keep: int

    def folder(self, fingerprint: Fingerprint) -> str:
        """The folder of this version with these values, within that of the package.

        The same content is in the same folder, so that a way back need not unpack it again.
        """
        package = self.package
        name = f"{package.version}-{package.digest[:_HEX]}"
        if files := self.configuration.files:
            told = "\n".join(f"{f.mode:o} {f.path} {_sha256(f.content)}" for f in files)
            name = f"{name}-{_sha256(fingerprint(told).encode())[:_HEX]}"
        return f"{self.into}/releases/{name}"


def script(installation: Installation, fingerprint: Fingerprint) -> str:
    """The script; there are secrets in it where there are in the configuration."""
    return "\n".join([*_lines(installation, fingerprint), _SCRIPT.read_text("utf-8")])


def _lines(installation: Installation, fingerprint: Fingerprint) -> Iterator[str]:
    package, configuration = installation.package, installation.configuration
    yield "#!/bin/sh"
    for name, value in (
        ("package", package.name),
        ("version", package.version),
        ("digest", package.digest),
        ("name", installation.folder(fingerprint).rpartition("/")[2]),
        ("into", installation.into),
        ("keep", str(installation.keep)),
        ("user", _sha256(installation.into.encode())[:16]),
        ("variable", "".join(map(_any_case, INSTALLED))),
    ):
        yield f"de_{name}={quote(value)}"
    yield "de_files() {"
    for file in configuration.files:
        yield from _file(file)
    yield "  :"
    yield "}"
    for pattern in configuration.unmatched:
        yield f"echo {quote(f'no file of {package} matches {pattern}')}"


def _any_case(sign: str) -> str:
    return f"[{sign.upper()}{sign.lower()}]" if sign.isalpha() else sign


def _file(file: ConfiguredFile) -> Iterator[str]:
    """The content stands in a here-document: no process ever has it among its arguments."""
    text = file.content.decode("utf-8", "surrogateescape")
    end = f"DEPLOYENGINE_{_sha256(file.content)}"
    size = "all" if text.endswith("\n") else str(len(file.content))
    yield f"  de_file \"$1\" {quote(file.path)} {file.mode:o} {size} << '{end}' || return 1"
    yield text.removesuffix("\n")
    yield end


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
