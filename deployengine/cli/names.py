"""Names and versions as they are given on the command line."""

from __future__ import annotations

from typing import Any

import click

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
