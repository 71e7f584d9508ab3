"""The hosts of an ``ssh_config``: those that it calls by name. Patterns give them their options."""

from __future__ import annotations

import re

from deployengine.catalog.inventory.listing import Listing
from deployengine.catalog.inventory.ssh_config_file import SshConfigFile
from deployengine.catalog.inventory.way import Way

_TOKEN = re.compile(r"%(.)|\$\{[^}]*\}")


def listing(config: SshConfigFile, file: str) -> Listing:
    """The hosts, in no group but ``all``."""
    found = Listing(file, warnings=list(config.warnings))
    for name, place in config.names.items():
        found.host(name, place)
    return found


def way(config: SshConfigFile, host: str) -> Way:
    """How the host is reached."""
    found = _said(config, host)
    if jump := found.keys.get("jump"):
        hops = _hops(config, jump, (host,))
        own = found.keys.get("identity_file")
        keyed = [
            hop for hop in hops if _said(config, _name(hop)).keys.get("identity_file", own) != own
        ]
        found.keys["jump"] = ",".join(
            hop if hop in keyed else _address(config, hop) for hop in hops
        )
        if keyed:
            message = (
                f"{' and '.join(keyed)} on the way to {host} has a key of its own, which a machine "
                "cannot say; it is left as it stands, so let the workers' ssh_config know it"
            )
            found.warnings.append(found.places["jump"].fault(message))
    found.settle()
    return found


def _said(config: SshConfigFile, host: str) -> Way:
    found = Way(host)
    for option in config.options:
        if option.is_for(host):
            found.option(option.name, option.text, option.place, lenient=True)
    _write_out(found, "host", {"h": host})
    known = {
        "d": "~",
        "h": found.keys.get("host", host),
        "n": host,
        "p": found.keys.get("port", "22"),
    }
    if user := found.keys.get("user"):
        known["r"] = user
    _write_out(found, "identity_file", known)
    return found


def _write_out(found: Way, key: str, known: dict[str, str]) -> None:
    """Replaces the tokens in a text by what they stand for."""
    text = found.keys.get(key, "")
    known = {**known, "%": "%"}
    for token in _TOKEN.finditer(text):
        if token[1] not in known:
            message = f"{token[0]} is not known here; write out what it stands for"
            found.faults.append(found.places[key].fault(message))
    if text:
        found.keys[key] = _TOKEN.sub(lambda token: known.get(token[1], token[0]), text)


def _hops(config: SshConfigFile, jump: str, passed: tuple[str, ...]) -> list[str]:
    """The hosts on the way as they are called here.

    Only the first of them may have a way of its own, as in OpenSSH.
    """
    first, *others = (hop.strip() for hop in jump.split(","))
    name = _name(first)
    before = _said(config, name).keys.get("jump") if name not in passed else None
    way_there = _hops(config, before, (*passed, name)) if before else []
    return [*way_there, first, *others]


def _name(hop: str) -> str:
    host = hop.rpartition("@")[2]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _address(config: SshConfigFile, hop: str) -> str:
    """``USER@HOST:PORT``, with what is said of that host in the place of what is left out.

    A worker may not have this file.
    """
    said = _said(config, _name(hop)).keys
    user, at, rest = hop.rpartition("@")
    port = rest.partition(":")[2] if rest.count(":") == 1 else ""
    user, port = user if at else said.get("user", ""), port or said.get("port", "")
    return f"{user}@" * bool(user) + said.get("host", _name(hop)) + f":{port}" * bool(port)
