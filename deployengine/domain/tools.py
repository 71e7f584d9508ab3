"""Tools: what a step has a program of its machine do, in place of a script that somebody wrote.

Each kind of step has its own words, which say what is to be; which commands bring that about is a
matter of :mod:`deployengine.recipes`. Whatever is said may be a text with ``#{…}`` instead, which
comes to it when the step runs (:mod:`~deployengine.domain.filling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

#: A value as a step says it: itself, or a text with ``#{…}`` in its place.
Said = str | float | bool

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

#: What can be done with a unit of systemd, and whether it is to be active afterwards; ``None``:
#: that makes no difference to it.
UNIT_ACTIONS: Mapping[str, bool | None] = {
    "restart": True,
    "reload": True,
    "reload-or-restart": True,
    "start": True,
    "stop": False,
    "enable": None,
    "disable": None,
}
UNIT_SCOPES = ("system", "user")


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Asks a URL again and again until it answers as it should, so many times in a row.

    All spans are seconds. ``expect`` has status codes and ranges of them. ``contains`` is a text
    of the answer, or between slashes an extended regular expression for one of its lines.
    """

    url: str
    method: Said = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    expect: Sequence[str] = ("200-399",)
    contains: str = ""
    healthy_within: Said = 60.0
    every: Said = 1.0
    answer_within: Said = 10.0
    successes: Said = 1
    insecure_tls: Said = False


@dataclass(frozen=True, slots=True)
class UnitAction:
    """Has systemd do something with units, and waits until they are as they should be.

    They have ``active_within`` seconds for that, and must stay so for ``stable`` seconds.
    """

    unit: Sequence[str]
    action: Said = "restart"
    active_within: Said = 30.0
    stable: Said = 2.0
    scope: Said = "system"
    daemon_reload: Said = False


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """Brings the services of Compose files up, and waits until they run and are healthy.

    They have ``healthy_within`` seconds for that. Paths are relative to the workdir.
    """

    files: Sequence[str]
    project: str = ""
    services: Sequence[str] = ()
    env_file: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    pull: Said = True
    build: Said = False
    remove_orphans: Said = False
    healthy_within: Said = 120.0


@dataclass(frozen=True, slots=True)
class Playbook:
    """Runs a playbook of Ansible, limited to the machine that the step is for.

    ``inventory`` is empty where Ansible's own settings say which one. Variables are texts, numbers,
    truth values, or lists and mappings of them.
    """

    playbook: str
    inventory: str = ""
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    check: Said = False


Tool = HttpCheck | UnitAction | ComposeProject | Playbook

_BY_KIND: Mapping[str, type[Tool]] = {
    "http": HttpCheck,
    "systemd": UnitAction,
    "docker-compose": ComposeProject,
    "ansible": Playbook,
}


def tool_of(document: Mapping[str, Any]) -> Tool | None:
    """What the stored document of a step says of a tool; ``None`` for a step of another kind."""
    tool = _BY_KIND.get(document.get("kind", ""))
    if tool is None:
        return None
    said = {f.name: document.get(f.name) for f in fields(tool)}
    return tool(**{name: value for name, value in said.items() if value is not None})
