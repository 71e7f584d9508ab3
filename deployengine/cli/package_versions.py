"""Versions of packages as people give them: NAME=VERSION."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from deployengine.domain.package_layout import is_package_name
from deployengine.domain.package_versions import is_version

#: A package's name and version.
Said = tuple[str, str]


def read_version(text: str) -> Said:
    """One of them; raises ValueError with what is wrong with it."""
    name, sign, version = (part.strip() for part in text.partition("="))
    if not sign:
        raise ValueError(f"{text!r} should be NAME=VERSION, as shop=1.4.0")
    if not is_package_name(name):
        raise ValueError(f"{name!r} is no name of a package: use letters, digits and . _ + -")
    if not is_version(version):
        raise ValueError(f"{version!r} is no version of a package: it begins with a digit")
    return name, version


def each_once(said: Iterable[Said]) -> tuple[Said, ...]:
    """All of them; raises ValueError for a package that is named twice."""
    found = tuple(said)
    names = [name for name, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"package {twice} is named twice")
    return found


class _Version(click.ParamType[Said]):
    """A package's name with its version."""

    name = "name=version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Said:
        try:
            return value if isinstance(value, tuple) else read_version(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def once(_context: click.Context, _option: click.Parameter, said: tuple[Said, ...]) -> Any:
    """For an option that may be given for each package."""
    try:
        return each_once(said)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


VERSION = _Version()
