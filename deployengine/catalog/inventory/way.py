"""How one host is reached, by what an inventory says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from deployengine.catalog.inventory import ssh_options
from deployengine.catalog.inventory.listing import Place
from deployengine.catalog.inventory.ssh_options import NotCarried, Unsupported
from deployengine.domain.errors import Fault

Kind = Literal["local", "ssh"]


@dataclass(slots=True)
class Way:
    """The keys of a host's connection, each with its place, and what stands against it.

    An empty text means that there shall be none, whatever the catalog says for all. ``faults``
    forbid the host, ``warnings`` do not.
    """

    host: str
    kind: Kind = "ssh"
    keys: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def say(self, key: str, text: str, place: Place) -> None:
        """A key of the connection; what was said first counts."""
        if key not in self.keys:
            self.keys[key] = text
            self.places[key] = place

    def option(self, option: str, text: str, place: Place, *, lenient: bool = False) -> None:
        """An option of OpenSSH. ``lenient``: what may be said elsewhere is a warning only."""
        if ssh_options.trusts_anybody(option, text):
            self.warnings.append(place.fault(ssh_options.STILL_CHECKED))
        try:
            found = ssh_options.keys(option, text)
        except NotCarried as error:
            (self.warnings if lenient else self.faults).append(place.fault(str(error)))
        except Unsupported as error:
            if "jump" not in self.keys:
                self.faults.append(place.fault(str(error)))
        else:
            for key, value in found.items():
                self.say(key, value, place)

    def settle(self) -> None:
        """Holds the keys against each other, once all are there."""
        try:
            self.keys = ssh_options.settled(self.keys)
        except Unsupported as error:
            self.faults.append(self.places["jump"].fault(str(error)))
