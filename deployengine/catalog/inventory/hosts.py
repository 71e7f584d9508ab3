"""How hosts are written in an inventory: ``web[01:30].example.com:2222``."""

from __future__ import annotations

import re

from deployengine.catalog.ranges import BadRange, expand

_PORT = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>(?:[^:\[\]]|\[[^\]]*\])+)):(?P<port>\d*)"
)
#: A range of Ansible's may leave its begin out.
_FROM_NOTHING = re.compile(r"\[(?=:)")


def hosts(written: str) -> tuple[tuple[str, ...], str | None]:
    """The names that are meant, and the port behind them, if there is one.

    Raises :class:`BadRange`.
    """
    with_port = _PORT.fullmatch(written)
    if with_port is None:
        return _names(written), None
    if not with_port["port"]:
        raise BadRange(f"{written!r} must not end with a colon, behind which a port would stand")
    if with_port["six"]:
        return (with_port["six"],), with_port["port"]
    return _names(with_port["host"]), with_port["port"]


def _names(written: str) -> tuple[str, ...]:
    return expand(_FROM_NOTHING.sub("[0", written))
