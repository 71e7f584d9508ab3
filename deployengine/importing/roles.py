"""Roles: how they are called here, which of them steps use, and the role of the Octopus server."""

from __future__ import annotations

from collections.abc import Iterable

from deployengine.importing.directory import SERVER
from deployengine.importing.names import legal


class Roles:
    """The roles that are in use; a catalog may name only such as a machine bears."""

    def __init__(self) -> None:
        #: Role by role, in the order of first use.
        self.used: dict[str, None] = {}
        self.server_used = False

    def names(self, wanted: Iterable[str]) -> list[str]:
        """The names of these roles, each once, noted as used."""
        found = {legal(role): None for role in wanted if role.strip()}
        self.used.update(found)
        return list(found)

    def server(self) -> list[str]:
        """The role of what ran on the Octopus server."""
        self.server_used = True
        return [SERVER]


def borne(wanted: Iterable[str]) -> list[str]:
    """The roles that a machine bears, each once."""
    return list({legal(role): None for role in wanted if role.strip()})
