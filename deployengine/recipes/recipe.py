"""From what a step says of its tool to the script that does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployengine.domain.filling import Filling
from deployengine.domain.insertion import Insertion, Plain
from deployengine.domain.tools import ComposeProject, HttpCheck, Playbook, Tool, UnitAction
from deployengine.recipes import ansible, compose, http, systemd
from deployengine.recipes.shell import script


def recipe(tool: Tool, machine: str, values: Mapping[str, Plain]) -> Insertion:
    """The script, for the machine of this name; ``values`` are those of the variables for it.

    Raises ``BadValue`` and ``SecretOnCommandLine`` for what the values come to, and as ``insert``.
    """
    fill = Filling(values)
    lines, program = _parts(tool, machine, fill)
    text = script(lines, program)
    return Insertion(text, fill.sensitive, frozenset(fill.secrets))


def _parts(tool: Tool, machine: str, fill: Filling) -> tuple[Iterable[str], str]:
    match tool:
        case HttpCheck():
            return http.lines(tool, fill), http.PROGRAM
        case UnitAction():
            return systemd.lines(tool, fill), systemd.PROGRAM
        case ComposeProject():
            return compose.lines(tool, fill), compose.PROGRAM
        case Playbook():
            return ansible.lines(tool, fill, machine), ansible.PROGRAM
