"""Names in the catalog: what one may look like, since it becomes a folder and a lock's name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from deployengine.catalog.ranges import expand
from deployengine.catalog.scalars import as_written

#: A project's and an environment's name must fit together into one column and one file name.
LONGEST = 120


def plain(name: str) -> str:
    """The name without surrounding space; ``ValueError`` says why it can't be one."""
    name = name.strip()
    if not name:
        raise ValueError("a name must not be empty")
    if len(name) > LONGEST:
        raise ValueError(f"a name has at most {LONGEST} characters")
    if not name.isprintable():
        raise ValueError(f"the name {name!r} has a character that can't be seen")
    if "/" in name or "\\" in name:
        raise ValueError(f"the name {name!r} must not contain a slash")
    if name.startswith("."):
        raise ValueError(f"the name {name!r} must not begin with a dot")
    return name


def ranged(name: str) -> str:
    """A name that may hold ranges; each name that it stands for must be :func:`plain`."""
    name = name.strip()
    for one in expand(name):
        plain(one)
    return name


def variable_name(name: str) -> str:
    """A variable's name: anything that can stand in ``#{…}``."""
    name = name.strip()
    if not name:
        raise ValueError("a name must not be empty")
    if not name.isprintable() or "#{" in name or "}" in name:
        raise ValueError("the name of a variable must be visible and must not hold #{ or }")
    return name


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """All the names that these stand for, each once."""
    return tuple(dict.fromkeys(one for name in names for one in expand(name)))


_NAME = Field(min_length=1, max_length=LONGEST, json_schema_extra={"pattern": r"^[^./\\][^/\\]*$"})

Name = Annotated[str, BeforeValidator(as_written), AfterValidator(plain), _NAME]
RangedName = Annotated[str, BeforeValidator(as_written), AfterValidator(ranged), _NAME]
VariableName = Annotated[
    str, BeforeValidator(as_written), AfterValidator(variable_name), Field(min_length=1)
]

#: Marks lists in which each name stands once; the cross checks tell of a second one.
DISTINCT = "distinct"

Names = Annotated[list[Name], DISTINCT]
RangedNames = Annotated[list[RangedName], DISTINCT]

#: For lists that mean all when they are left out: an empty one would do so by accident.
SomeNames = Annotated[list[Name], Field(min_length=1), DISTINCT]
SomeRangedNames = Annotated[list[RangedName], Field(min_length=1), DISTINCT]
