"""Names and versions as they are given on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from deployengine.catalog.ranges import BadRange, expand

#: Characters that a name may have; the columns of names take no more.
_LONGEST = 255


class _Name(click.ParamType[str]):
    """A name without the space around it."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """No name in the catalog, no version and no batch begins or ends with space."""
        name = str(value).strip()
        if not name or len(name) > _LONGEST or not name.isprintable():
            said = f"{name[:20]!r} is no name: write 1 to {_LONGEST} characters that can be seen"
            self.fail(said, param, ctx)
        return name


NAME = _Name()


class _Names(click.ParamType[tuple[str, ...]]):
    """A name, or a range of names as a catalog has them: prod-[01:30]."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names that it stands for."""
        if isinstance(value, tuple):
            return value
        try:
            return expand(NAME.convert(value, param, ctx))
        except BadRange as error:
            self.fail(str(error), param, ctx)


NAMES = _Names()


def each_once(names: Iterable[Sequence[str]]) -> list[str]:
    """What several :data:`NAMES` stand for, in their order, each name once."""
    return list(dict.fromkeys(name for several in names for name in several))
